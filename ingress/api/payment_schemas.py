"""Payments as merchants write and read them. What goes in and what comes out are different schemas."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from ingress.api.parsing import Input, Line, MinorUnits, Moment, Pattern, Whole
from models.states import AttemptStatus, Direction, Method, Operation, Origin, PaymentState
from psps.registry import PSPS

METHODS = [Method.OXXO.value, Method.SPEI.value, Method.CARD.value, Method.CRYPTO_ONRAMP.value]
STATES = [state.value for state in PaymentState]
ACCOUNT = r"^[a-z0-9]{1,64}$"
MOST_ROWS = 100
MOST_SEARCHED = 100


class PayerInput(Input):
    """Who pays, as far as the PSP wants to know. It is passed on to the PSP; `reference` alone is shown again."""

    name = Line(150)
    email = fields.Email(validate=validate.Length(max=254))
    phone = Line(20, 8)
    reference = Line(100, metadata={"description": "Your own word for the payer, such as a customer number"})


class CryptoInput(Input):
    """What an on-ramp sells, and where it sends it."""

    asset = fields.String(required=True, validate=Pattern(r"^[a-z0-9]{2,20}$"), metadata={"example": "usdc"})
    network = fields.String(validate=Pattern(r"^[a-z0-9_]{2,30}$"), metadata={"example": "polygon"})
    wallet_address = Line(128, 20)


class PaymentInput(Input):
    """A payment to be made."""

    method = fields.String(required=True, validate=validate.OneOf(METHODS))
    amount_minor = MinorUnits(required=True, metadata={"example": 15000, "description": "In centavos"})
    currency = fields.String(load_default="MXN", validate=Pattern(r"^[A-Z]{3}$"))
    reference = Line(100, metadata={"example": "ORD-1", "description": "Your own word for the payment"})
    description = Line(250)
    payer = fields.Nested(PayerInput)
    psp = fields.String(validate=validate.OneOf(list(PSPS)), metadata={"description": "Without it a rule chooses"})
    account = fields.String(validate=Pattern(ACCOUNT), metadata={"description": "Of the PSP: default"})
    expires_at = Moment(metadata={"description": "Until when it can be paid"})
    card_token = Line(500, metadata={"description": "From the PSP's own card form; never a card number"})
    return_url = fields.Url(schemes={"https"}, validate=validate.Length(max=2000))
    crypto = fields.Nested(CryptoInput)

    @validates_schema
    def check_crypto(self, data: dict[str, Any], **more: Any) -> None:
        if (data.get("method") == Method.CRYPTO_ONRAMP) != ("crypto" in data):
            raise ValidationError("crypto belongs to the method crypto_onramp, and only there", "crypto")
        if "account" in data and "psp" not in data:
            raise ValidationError("name its psp too", "account")


class PaymentQuery(Input):
    """Which payments to list."""

    state = fields.String(validate=validate.OneOf(STATES))
    method = fields.String(validate=validate.OneOf([*METHODS, Method.UNKNOWN.value]))
    psp = fields.String(validate=validate.OneOf(list(PSPS)))
    currency = fields.String(validate=Pattern(r"^[A-Z]{3}$"))
    created_from = Moment(metadata={"description": "Made then or later"})
    created_to = Moment(metadata={"description": "Made before then"})
    amount_min = Whole(validate=validate.Range(0, 10**15))
    amount_max = Whole(validate=validate.Range(0, 10**15))
    search = Line(
        MOST_SEARCHED,
        3,
        metadata={"description": "A part of reference, description, payer's reference or an id of the PSP"},
    )
    cursor = Line(200, metadata={"description": "`next_cursor` of the page before"})
    limit = Whole(load_default=50, validate=validate.Range(1, MOST_ROWS))


class InstructionsOutput(Schema):
    """What the payer needs in order to pay."""

    voucher_number = fields.String(allow_none=True)
    barcode_url = fields.String(allow_none=True)
    voucher_url = fields.String(allow_none=True)
    clabe = fields.String(allow_none=True)
    bank = fields.String(allow_none=True)
    bank_reference = fields.String(allow_none=True)
    redirect_url = fields.String(allow_none=True)
    expires_at = fields.String(allow_none=True)


class CreationOutput(Schema):
    """How far the PSP is with making it: done, refused, or still under way."""

    status = fields.String(validate=validate.OneOf([status.value for status in AttemptStatus]))
    error_code = fields.String(allow_none=True)


class CryptoOutput(Schema):
    """The crypto side of an on-ramp, in whole base units of the asset."""

    asset = fields.String()
    network = fields.String(allow_none=True)
    base_units = fields.String(allow_none=True)
    scale = fields.Integer(allow_none=True)
    tx_hash = fields.String(allow_none=True)


class PaymentOutput(Schema):
    """A payment as it stands."""

    id = fields.UUID(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    method = fields.String(required=True)
    direction = fields.String(required=True, validate=validate.OneOf([one.value for one in Direction]))
    psp = fields.String(required=True)
    account = fields.String(required=True)
    psp_payment_id = fields.String(allow_none=True, metadata={"description": "None until the PSP has made it"})
    amount_minor = fields.Integer(allow_none=True)
    received_minor = fields.Integer(required=True)
    refunded_minor = fields.Integer(required=True)
    currency = fields.String(allow_none=True)
    livemode = fields.Boolean(required=True)
    origin = fields.String(required=True, validate=validate.OneOf([origin.value for origin in Origin]))
    reference = fields.String(allow_none=True)
    description = fields.String(allow_none=True)
    payer_reference = fields.String(allow_none=True)
    expires_at = fields.AwareDateTime(allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)
    crypto = fields.Nested(CryptoOutput, allow_none=True)
    instructions = fields.Nested(InstructionsOutput, allow_none=True)
    creation = fields.Nested(CreationOutput, allow_none=True)


class PaymentPage(Schema):
    """Payments, the newest first."""

    payments = fields.List(fields.Nested(PaymentOutput), required=True)
    next_cursor = fields.String(
        required=True, allow_none=True, metadata={"description": "None: that was the last page"}
    )


class RefundInput(Input):
    """Money to give back. Without an amount: all that is left."""

    amount_minor = MinorUnits()
    reason = fields.String(
        load_default="requested_by_customer",
        validate=validate.OneOf(["requested_by_customer", "duplicate", "fraudulent"]),
    )


class ChangeOutput(Schema):
    """Something that was asked of the PSP: a refund or a cancelation."""

    id = fields.UUID(required=True)
    payment_id = fields.UUID(required=True)
    operation = fields.String(required=True, validate=validate.OneOf([one.value for one in Operation]))
    status = fields.String(required=True, validate=validate.OneOf([status.value for status in AttemptStatus]))
    amount_minor = fields.Integer(allow_none=True)
    error_code = fields.String(allow_none=True)
    error_message = fields.String(allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    settled_at = fields.AwareDateTime(allow_none=True)
