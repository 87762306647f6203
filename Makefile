# Stowage: `make up` runs it, `make test` proves it. README.md says more.
.PHONY: up down setup test test-unit test-faults soak test-guest test-v2 check bench bench-planner
.DEFAULT_GOAL := help

PYTHON := /usr/bin/python3
OURS := .venv/bin/python
LAB ?= 4
PORT ?= 8400
# PACKAGES=0 leaves the system's packages alone (other distributions).
PACKAGES ?= 1
PURGE ?= 0
PREPARE = $(PYTHON) -m datacenter.run.prepare $(if $(filter 0,$(PACKAGES)),--no-packages)

help:
	@echo "make up          set up, then run the dashboard and a lab of 4 hosts (LAB=0: without, PORT=8400)"
	@echo "make down        stop it from another terminal; PURGE=1 removes its data too"
	@echo "make test        everything that is tested; make test-unit: the quick part, without root"
	@echo "make check       format, lint, types, contracts, unit tests, trials"
	@echo "make bench       measures against the tools underneath (as root: with a lab of its own)"
	@echo "make bench-planner  the planner against its bounds and peers (LINES=packing: one line, LARGE=1: everything, hours)"
	@echo "make test-guest  cloud-init in a real Debian guest (long)"
	@echo "make test-faults faults put into the running lab, with three seeds (long)"
	@echo "make soak        MINUTES=30 of random verbs, faults and interference in the lab, then a check of everything"
	@echo "make test-v2     the lab in a Debian guest with systemd, AppArmor and cgroup v2 (long)"

up:
	@$(PREPARE) $(if $(filter 0,$(LAB)),,--lab)
	@exec $(OURS) manage.py up --lab $(LAB) --port $(PORT)

down:
	@if [ -x $(OURS) ]; then exec $(OURS) manage.py down $(if $(filter 1,$(PURGE)),--purge); fi

setup:
	@$(PREPARE) --lab --tests

test: setup
	@exec $(OURS) -m tests.run

test-unit: setup-unit
	@exec $(OURS) -m tests.run unit

check: setup-unit
	@exec $(OURS) -m tests.run contracts lint types migrations unit trials

# Without root and without Debian packages: what is there must do.
setup-unit:
	@$(PREPARE) --no-packages

bench: setup
	@exec $(OURS) -m tests.benchmarks

LINES ?=
LARGE ?= 0
# One thread, so that a time is that of one core in every run.
bench-planner: setup
	@exec env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(OURS) -m tests.benchmarks.planner $(LINES) $(if $(filter 1,$(LARGE)),--large)

test-guest:
	@$(PREPARE) --lab --tests --guest
	@exec $(OURS) -m tests.run guest

test-faults: setup
	@exec $(OURS) -m tests.run faults

MINUTES ?= 30
soak: setup
	@exec $(OURS) -m tests.lab.faults.soak --minutes $(MINUTES)

test-v2:
	@$(PREPARE) --lab --guest
	@exec $(OURS) -m tests.v2
