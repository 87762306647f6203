"""What the floors above may listen to, so that nothing down here imports them."""

from __future__ import annotations

from django.dispatch import Signal

# Sent after the commit that ends an operation (done, failed, cancelled) or makes it stuck, with `operation_id`.
# A hint: a crash between commit and signal loses it, so listeners also look by themselves now and then.
operation_finished = Signal()
