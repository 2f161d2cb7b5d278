"""One table: what a key needs for each method. A method without a row is refused to every key.

Documentation and tests are made from it; a test walks every service that is served.
"""

from __future__ import annotations

from streamer.words.apikey import Scope

SCOPES: dict[str, Scope] = {
    "streamer.v1.StreamService.CreateStream": Scope.STREAMS_WRITE,
    "streamer.v1.StreamService.GetStream": Scope.STREAMS_READ,
    "streamer.v1.StreamService.ListStreams": Scope.STREAMS_READ,
    "streamer.v1.StreamService.UpdateStream": Scope.STREAMS_WRITE,
    "streamer.v1.StreamService.PauseStream": Scope.STREAMS_WRITE,
    "streamer.v1.StreamService.ResumeStream": Scope.STREAMS_WRITE,
    "streamer.v1.StreamService.CancelStream": Scope.STREAMS_WRITE,
    "streamer.v1.StreamService.RenewStreams": Scope.STREAMS_WRITE,
    "streamer.v1.StreamService.WatchStreams": Scope.STREAMS_READ,
    "streamer.v1.PaymentService.CreatePayment": Scope.PAYMENTS_WRITE,
    "streamer.v1.PaymentService.GetPayment": Scope.PAYMENTS_READ,
    "streamer.v1.PaymentService.ListPayments": Scope.PAYMENTS_READ,
    "streamer.v1.PaymentService.WriteOffPayment": Scope.ADMIN,
    "lightning.Lightning.GenerateInvoice": Scope.INVOICES_WRITE,
    "lightning.Lightning.PayInvoice": Scope.PAYMENTS_WRITE,
    "lightning.Lightning.CheckInvoice": Scope.INVOICES_READ,
    "lightning.Lightning.GetChannels": Scope.PAYMENTS_READ,
    "lightning.Lightning.ListPayments": Scope.PAYMENTS_READ,
    "lightning.Lightning.ListInvoices": Scope.INVOICES_READ,
    "lightning.Lightning.Keysend": Scope.PAYMENTS_WRITE,
    "streamer.v1.AdminService.GetStatus": Scope.ADMIN,
    "streamer.v1.AdminService.StopSending": Scope.ADMIN,
    "streamer.v1.AdminService.StartSending": Scope.ADMIN,
    "streamer.v1.AdminService.CreateKey": Scope.ADMIN,
    "streamer.v1.AdminService.ImportKey": Scope.ADMIN,
    "streamer.v1.AdminService.ListKeys": Scope.ADMIN,
    "streamer.v1.AdminService.RevokeKey": Scope.ADMIN,
}
"""Full name of a method → the scope that allows it; admin allows all of them."""


def allows(scopes: frozenset[Scope], method: str) -> bool:
    """Whether a key with these scopes may call method; never for one without a row."""
    return method in SCOPES and (Scope.ADMIN in scopes or SCOPES[method] in scopes)
