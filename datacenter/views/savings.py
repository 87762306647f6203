"""The savings ledger: what plans have saved, by month and by plan, and all of it to take away."""

from __future__ import annotations

import csv
import io

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from datacenter.ledger_view import csv_rows, ledger_read
from hosts.doors import page
from hosts.regions import render_page


@page("view")
def savings_page(request: HttpRequest) -> HttpResponse:
    context = {"ledger": ledger_read(timezone.now())}
    return render_page(request, "datacenter/savings.html", "datacenter/_savings.html", context)


@page("view")
def savings_csv(request: HttpRequest) -> HttpResponse:
    text = io.StringIO()
    csv.writer(text).writerows(csv_rows(timezone.now()))
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="savings.csv"'
    return response
