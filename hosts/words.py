"""Our own names as an operator says them: of operations, of their steps, and of what the audit log records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hosts.operations.registry import sagas, title_of

# what the audit log records besides operations, which have their sagas' titles
VERBS = {
    "adopt": "found and adopted",
    "follow": "followed to another host",
    "token_issue": "gave out a token",
    "api_token_issue": "gave out an API token",
    "api_token_revoke": "revoked an API token",
    "site_create": "made a site",
    "rack_create": "made a rack",
    "host_edit": "changed watts or BMC",
    "host_retry_enrolment": "began the enrolment again",
    "power_seen": "saw its power switched",
    "host_remove": "removed from the inventory",
    "host_job_give": "gave another job",
    "host_job_end": "took back from another job",
    "host_decommission": "took out of service",
    "console_ask": "asked for a console",
    "console_open": "opened a console",
    "console_end": "left a console",
    "console_cut": "ended somebody's console",
    "console_log": "had a serial line written down",
    "console_log_remove": "removed the log of a serial line",
    "image_add": "added an image",
    "image_upload": "began an upload",
    "image_give_up": "gave up an upload",
    "image_remove": "removed an image",
    "workload_pin": "pinned to its host",
    "workload_unpin": "let it move again",
    "workload_keep_apart": "changed its group",
    "registry_add": "added a registry",
    "registry_edit": "changed a registry",
    "registry_remove": "removed a registry",
    "template_save": "saved a template",
    "template_remove": "removed a template",
    "flavour_add": "made a flavour",
    "flavour_remove": "removed a flavour",
    "schedule_create": "made a schedule",
    "schedule_on": "switched a schedule on",
    "schedule_off": "switched a schedule off",
    "schedule_delete": "removed a schedule",
    "policy_edit": "changed the policy",
    "autopilot_edit": "changed the autopilot",
    "autopilot_stop": "stopped the autopilot",
    "host_lost": "found a host lost",
    "recovery_begin": "began the recovery of a lost host",
    "recovery_declare_dead": "declared a lost host dead",
    "plan_request": "asked for a plan",
    "plan_settle": "took the best plan so far",
    "question_ask": "asked the planner",
    "plan_approve": "approved the plan",
    "plan_reject": "rejected the plan",
    "plan_stop": "stopped the plan",
    "plan_pause": "paused the plan",
    "plan_resume": "went on with the plan",
    "alert_rule_create": "made an alert rule",
    "alert_rule_edit": "changed an alert rule",
    "alert_rule_on": "switched an alert rule on",
    "alert_rule_off": "switched an alert rule off",
    "alert_rule_delete": "removed an alert rule",
    "alert_acknowledge": "acknowledged an alert",
    "silence_create": "silenced alerts",
    "silence_end": "ended a silence",
    "channel_create": "made a channel for notices",
    "channel_edit": "changed a channel for notices",
    "channel_delete": "removed a channel for notices",
    "channel_test": "sent a test notice",
    "operation_cancel": "cancelled an operation",
    "operation_retry": "tried an operation again",
    "operation_close": "closed an operation as it stands",
    "password_change": "changed the password",
    "admin_add": "added in the admin",
    "admin_change": "changed in the admin",
    "admin_delete": "deleted in the admin",
}
STEPS = {
    "ask": "look where it is",
    "ask_source": "look at it on the old host",
    "ask_target": "look at it on the new host",
    "assert_empty": "make sure that nothing runs there",
    "bring": "have a host read it and send it here",
    "check_bmc": "reach the BMC",
    "check_fenced": "make sure that the old host is cut off",
    "check_gone": "make sure that it is gone",
    "check_kept": "make sure that a stop does not lose it",
    "check_identity": "make sure that it is the right machine",
    "check_newer": "make sure that the image is a newer one",
    "check_same": "compare both copies",
    "check_stale": "make sure that it is a stale one",
    "check_stopped": "make sure that it is stopped",
    "check_target": "ask the new host whether it can take it",
    "choose_disks": "choose where its disks go",
    "clean_source": "clean up on the old host",
    "clean_target": "clean up on the new host",
    "clear": "throw away what is needed no more",
    "close": "close the host to new work",
    "lift": "count on the host again",
    "confirm": "make sure that it came about",
    "confirm_fence": "make sure that the host is off and silent",
    "confirm_off": "wait until the power is off",
    "copy_disks": "copy the disks",
    "cordon": "close the host to new work",
    "create": "make it",
    "cut_power": "cut the power",
    "cut_source": "cut it off on the old host",
    "cut_target": "cut it off on the new host",
    "decide": "decide which copy is the true one",
    "define": "tell the hypervisor about it",
    "delete": "delete it",
    "describe": "read how it is set up",
    "discover": "read what the host has",
    "drop_aside": "remove the old one",
    "ensure_bridge": "make the bridge for VMs",
    "export": "take the image from the old host",
    "fence": "hold the old one back",
    "fence_source": "hold it back on the old host",
    "forget": "take it out of the inventory",
    "forget_stale": "forget that it was seen there",
    "give_up": "give up",
    "go_on": "let it go on",
    "grow": "give it more room",
    "image": "fetch the image",
    "image_used": "look which image it runs from",
    "keep": "keep what was tried",
    "load": "bring the image to the new host",
    "locate": "look where it is",
    "migrate": "move it while it runs",
    "pause": "pause it",
    "note_off": "note that the power is off",
    "ping": "wait for the host to answer",
    "power_off": "switch the power off",
    "power_on": "switch the power on",
    "prepare_target": "prepare the new host",
    "probe_accelerator": "try KVM with a short boot",
    "pull": "pull the image from its registry",
    "quiesce": "let the host begin nothing new",
    "read_again": "read once more whether the power is off",
    "read_power": "read whether the power is on",
    "record": "enter it into the inventory",
    "remove": "remove it",
    "remove_image": "remove the image from the host",
    "remove_source": "remove it from the old host",
    "rename": "rename it on its host",
    "reset": "reset it",
    "resize": "change its size",
    "resume": "let it run on the new host",
    "revert": "go back to the snapshot",
    "save": "save its memory to disk",
    "seed": "write what it is told at its first boot",
    "send": "copy its volumes while it runs",
    "send_rest": "copy what has changed since",
    "set": "set it",
    "set_aside": "set the old one aside",
    "stamp": "write down who owns it",
    "start": "start it",
    "still_silent": "make sure that it is still silent",
    "store": "keep it as an image",
    "stop": "stop it",
    "stop_source": "stop it on the old host",
    "sum_source": "add up its volumes on the old host",
    "sum_target": "add up its volumes on the new host",
    "swap_owner": "hand it over to the new host",
    "take": "take the snapshot",
    "take_rest": "write what has changed since",
    "take_sent": "write the copy of its volumes",
    "take_name": "take the new name",
    "unquiesce": "let the host begin work again",
    "verify": "look at both hosts",
    "volumes": "make its disks",
    "volumes_left": "remove its volumes from the old host",
    "volumes_source": "look at its volumes",
    "volumes_target": "make its volumes on the new host",
    "wait_healthy": "wait until it stays up",
    "wipe": "take it off its small disk",
    "wake": "wait for its host, which is woken",
    "want": "write down what is wanted",
    "want_on": "write down that it shall be on",
}
NOTES = {
    "undoing": "From here on, what was done is taken back.",
    "retry": "Somebody let it go on.",
    "closed": "Somebody closed it as it stands.",
}


def verb_said(verb: str) -> str:
    """A verb of the audit log in words: an operation's title, or what was done."""
    return VERBS.get(verb) or title_of(verb)


def step_said(step: str) -> str:
    """A step of an operation in words."""
    return STEPS.get(step) or step.replace("_", " ")


def note_said(data: Mapping[str, Any]) -> str:
    """A remark of the journal as a sentence."""
    if data.get("note") == "undoing" and data.get("cancelled"):
        return "It was cancelled. From here on, what was done is taken back."
    return NOTES.get(str(data.get("note")), "")


def kinds_said(text: str) -> list[str]:
    """Operations whose title has the text in it."""
    return [name for name, saga in sagas().items() if text.lower() in saga.title.lower()]


def verbs_said(text: str) -> list[str]:
    """Verbs of the audit log whose words have the text in them."""
    return [verb for verb, words in VERBS.items() if text.lower() in words.lower()] + kinds_said(text)
