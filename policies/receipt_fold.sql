-- How each delivery stands, from a table `receipts` with the fields of the topic as columns
-- (absent fields as '', 0, 1 for device_count, false for is_final). Receipts may be in any
-- order and repeated. Runs on DuckDB and PostgreSQL; gives what policies/receipt_merge.py gives.
WITH told AS (
    SELECT *, MAX(round) OVER (PARTITION BY delivery_id) AS latest_round
    FROM receipts
    WHERE kind = 'delivery'
),
latest AS (
    SELECT * FROM told WHERE round = latest_round
),
-- For each device (or '' for the delivery as a whole) the receipt that stands.
ranked AS (
    SELECT *, ROW_NUMBER() OVER (
        PARTITION BY delivery_id, device_id
        ORDER BY state_rank DESC, is_final DESC, occurred_at DESC, status DESC, reason DESC,
            provider DESC, provider_code DESC, provider_message_id DESC
    ) AS place
    FROM latest
),
stands AS (
    SELECT * FROM ranked WHERE place = 1
),
totals AS (
    SELECT
        delivery_id,
        MAX(round) AS round,
        MAX(device_count) AS device_count,
        MAX(attempt) AS attempts,
        COALESCE(MIN(CASE WHEN status = 'queued' THEN occurred_at END), '') AS queued_at,
        COALESCE(MIN(CASE WHEN status = 'sent' THEN occurred_at END), '') AS sent_at,
        COALESCE(MIN(CASE WHEN status = 'delivered' THEN occurred_at END), '') AS delivered_at,
        MAX(CASE WHEN status = 'in_doubt' THEN 1 ELSE 0 END) = 1 AS was_in_doubt
    FROM latest
    GROUP BY delivery_id
),
judged AS (
    SELECT
        delivery_id,
        MAX(CASE WHEN state_rank IN (5, 6) THEN 1 ELSE 0 END) AS is_taken,
        MAX(CASE WHEN device_id = '' AND is_final THEN 1 ELSE 0 END) AS is_ended_as_a_whole,
        SUM(CASE WHEN device_id <> '' AND is_final THEN 1 ELSE 0 END) AS ended_devices,
        MAX(CASE WHEN device_id <> '' AND is_final AND status = 'in_doubt' THEN 1 ELSE 0 END)
            AS is_device_in_doubt
    FROM stands
    GROUP BY delivery_id
),
-- The stands that may speak for the whole delivery, the first of them does.
speaking AS (
    SELECT stands.*, ROW_NUMBER() OVER (
        PARTITION BY stands.delivery_id
        ORDER BY stands.state_rank DESC, stands.is_final DESC, stands.occurred_at DESC,
            stands.status DESC, stands.reason DESC, stands.provider DESC,
            stands.provider_code DESC, stands.provider_message_id DESC
    ) AS turn
    FROM stands
    JOIN judged ON judged.delivery_id = stands.delivery_id
    JOIN totals ON totals.delivery_id = stands.delivery_id
    WHERE CASE
        WHEN is_taken = 1 THEN state_rank IN (5, 6)
        WHEN is_ended_as_a_whole = 1 THEN is_final
        WHEN ended_devices >= totals.device_count
            THEN device_id <> '' AND is_final AND (is_device_in_doubt = 0 OR status = 'in_doubt')
        ELSE NOT is_final
    END
)
SELECT
    totals.delivery_id,
    totals.round,
    COALESCE(speaking.status, 'queued') AS status,
    COALESCE(speaking.reason, '') AS reason,
    COALESCE(speaking.is_final, FALSE) AS is_final,
    totals.attempts,
    totals.queued_at,
    totals.sent_at,
    totals.delivered_at,
    totals.was_in_doubt
FROM totals
LEFT JOIN speaking ON speaking.delivery_id = totals.delivery_id AND speaking.turn = 1
