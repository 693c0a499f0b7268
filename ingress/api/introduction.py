"""What the docs page says before its first operation."""

INTRODUCTION = """
Make payments at PSPs, find and understand them, give money back, and be notified of every change.

- **Keys.** Send `Authorization: Bearer <key>`. A key has some of the scopes `read`, `write` and `refund`. Users log in for a token, which may do what
  keys may and manages the keys.
- **Money** is whole minor units: `15000` in `MXN` is $150.00. **Times** are ISO 8601 with an offset.
- **Idempotency.** Give every POST an `Idempotency-Key`. The same key with the same body has one effect and one answer, which is marked
  `Idempotent-Replayed: true` when it is given again; with another body the answer is 409. Keys are kept for 72 hours at least.
- **Limits.** `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` say how often you may ask; after a 429 come again in `Retry-After` seconds.
- **Errors** are problem details (RFC 9457). `code` is for programs, `detail` says what to do, and `errors` which field was wrong.
- **Notifications** are [Standard Webhooks](https://www.standardwebhooks.com): verify `webhook-signature`, remember `webhook-id`, go by `data.sequence`.

The examples read `ACUSE_API_URL` and `ACUSE_MERCHANT_KEY`, which `acuse env` prints, and `ACUSE_TOKEN`, which `POST /v1/login` gives, from the environment.
""".strip()
