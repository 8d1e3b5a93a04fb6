"""
The columns of Ruler's uploads.

Sources, read 2026-11-28
    https://rulerapi.com/batch-jobs/upload-revenue-batch and /upload-opportunity-batch, and the templates at
    https://docs.rulerapi.com/batch-jobs/revenue-template and /opportunity-template. The codes of currencies
    are those of ISO 4217, list one, and those that it has withdrawn since 2014: older rows may have them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

JobType = Literal["revenue", "opportunity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadKind:
    """
    What an upload is of.

    :param job_type: Ruler's word.
    :param columns: all of them, in the order of the template.
    :param required: those that a file must have, with something in each row; of a column that is repeated, in
        one of them.
    :param dates: those that hold a time.
    :param value: the one that holds an amount.
    :param unique: the one whose content no other row has, if there is one.
    """

    job_type: JobType
    columns: tuple[str, ...]
    required: tuple[str, ...]
    dates: tuple[str, ...]
    value: str
    unique: str | None = None


#: Of these, a row needs one at least.
IDENTIFIERS = ("RaId", "EmailAddress", "PhoneNumber", "PayloadValue")
CURRENCY = "CurrencyCode"
#: The one column that a header may repeat.
LABEL = "Label"
#: What a file of failures has besides.
OF_FAILURES = ("RowNumber", "ErrorMessage")
_END = ("Reference", "AdditionalDataProperties")

UPLOADS: dict[str, UploadKind] = {
    kind.job_type: kind
    for kind in (
        UploadKind(
            job_type="revenue",
            columns=(
                *("RevenueClosedDate", CURRENCY, "Value"),
                *(*IDENTIFIERS, "LeadDate", LABEL, *_END),
            ),
            required=("RevenueClosedDate", CURRENCY, "Value", LABEL, "Reference"),
            dates=("RevenueClosedDate", "LeadDate"),
            value="Value",
            unique="Reference",
        ),
        UploadKind(
            job_type="opportunity",
            columns=(
                *("OpportunityDateTime", CURRENCY, "OpportunityValue", "PipelineStage"),
                *(*IDENTIFIERS, LABEL, *_END),
            ),
            required=("OpportunityDateTime", CURRENCY, "OpportunityValue", "PipelineStage"),
            dates=("OpportunityDateTime",),
            value="OpportunityValue",
        ),
    )
}

_ACTIVE = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP "
    "GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT "
    "LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR "
    "NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN "
    "SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD "
    "XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XUA YER ZAR ZMW ZWG"
)
_WITHDRAWN = "ANG BGN BYR CUC HRK LTL MRO SLL STD VEF ZWL"
CURRENCIES = frozenset([*_ACTIVE.split(), *_WITHDRAWN.split()])
