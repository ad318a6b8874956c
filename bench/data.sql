-- {units} units of the demo merchant with {scans} checkpoints each, written by the database itself.
ALTER TABLE shipping_shipment DISABLE TRIGGER USER;
ALTER TABLE shipping_checkpoint DISABLE TRIGGER USER;
INSERT INTO shipping_shipment (
    id, merchant_id, mode, carrier, booking_state, status, tracking_number, reference, carrier_shipment_id, order_id,
    frees_order, sequence, customer_reference, service_type, origin, destination, recipient, pickup_point_id, request,
    carrier_details, currency, location, checkpoint_count, first_at, last_at, created_at, updated_at)
SELECT
    md5('unit' || n)::uuid, (SELECT id FROM apikeys_merchant WHERE slug = 'demo'), 'test', '', 'none', 'in_transit',
    'BENCH-' || lpad(n::text, 8, '0'), 'BENCH' || n, '', '', false, 1, '', '', '{{}}', '{{}}', '', '', '{{}}', '{{}}', '',
    'Centro de Distribución', {scans}, '2024-01-15 10:30Z', '2024-01-15 14:00Z', now(), now()
FROM generate_series(1, {units}) AS n;
INSERT INTO shipping_checkpoint (
    id, merchant_id, mode, shipment_id, source, status, code, description, location, details, occurred_at, occurred_text,
    tz_assumed, created_at)
SELECT
    md5('scan' || n || '-' || k)::uuid, (SELECT id FROM apikeys_merchant WHERE slug = 'demo'), 'test',
    md5('unit' || n)::uuid, 'merchant', status, status, 'En tránsito', 'Centro de Distribución ' || k, '{{}}',
    timestamptz '2024-01-15 10:30Z' + k * interval '30 minutes', '2024-01-15T10:30:00Z', false, now()
FROM generate_series(1, {units}) AS n,
     unnest(array['created', 'picked_up', 'in_transit', 'in_transit', 'in_transit']) WITH ORDINALITY AS way (status, k)
WHERE k <= {scans};
ALTER TABLE shipping_shipment ENABLE TRIGGER USER;
ALTER TABLE shipping_checkpoint ENABLE TRIGGER USER;
ANALYZE;
