CREATE TABLE events (
  `id` STRING,
  `type` STRING,
  `time` TIMESTAMP_LTZ(3),
  `data` ROW<customerId STRING, terminalId STRING, amountMinor BIGINT>,
  WATERMARK FOR `time` AS `time` - INTERVAL '1' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${INPUT}',
  'properties.bootstrap.servers' = '${BROKERS}',
  'properties.group.id' = '${GROUP}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TABLE features (
  id STRING,
  customer STRING,
  terminal STRING,
  customer_count_5m BIGINT, customer_sum_5m BIGINT, customer_mean_5m DOUBLE,
  customer_count_1h BIGINT, customer_sum_1h BIGINT, customer_mean_1h DOUBLE,
  customer_count_1d BIGINT, customer_sum_1d BIGINT, customer_mean_1d DOUBLE,
  customer_count_7d BIGINT, customer_sum_7d BIGINT, customer_mean_7d DOUBLE,
  customer_count_30d BIGINT, customer_sum_30d BIGINT, customer_mean_30d DOUBLE, customer_stddev_30d DOUBLE,
  customer_terminals_1d BIGINT, customer_terminals_7d BIGINT,
  terminal_count_1h BIGINT, terminal_count_1d BIGINT,
  pair_count BIGINT, pair_seconds_since_first BIGINT
) WITH (
  'connector' = 'kafka',
  'topic' = '${OUTPUT}',
  'properties.bootstrap.servers' = '${BROKERS}',
  'format' = 'json'
);

CREATE TEMPORARY VIEW payments AS
SELECT `id`, `time`, `data`.customerId AS customer, `data`.terminalId AS terminal, `data`.amountMinor AS amount
FROM events WHERE `type` = 'payment.initiated';

-- In a stream all OVER aggregates of one SELECT share one window: each further window is a SELECT around the last. A
-- window has both of its ends; one of Riverbank lacks the event that is exactly as old as it is long, hence .999.
CREATE TEMPORARY VIEW customers_5m AS
SELECT *, COUNT(*) OVER w AS cc_5m, SUM(amount) OVER w AS cs_5m
FROM payments WINDOW w AS (PARTITION BY customer ORDER BY `time`
  RANGE BETWEEN INTERVAL '04:59.999' MINUTE TO SECOND PRECEDING AND CURRENT ROW);

CREATE TEMPORARY VIEW customers_1h AS
SELECT *, COUNT(*) OVER w AS cc_1h, SUM(amount) OVER w AS cs_1h
FROM customers_5m WINDOW w AS (PARTITION BY customer ORDER BY `time`
  RANGE BETWEEN INTERVAL '59:59.999' MINUTE TO SECOND PRECEDING AND CURRENT ROW);

CREATE TEMPORARY VIEW customers_1d AS
SELECT *, COUNT(*) OVER w AS cc_1d, SUM(amount) OVER w AS cs_1d, COUNT(DISTINCT terminal) OVER w AS ct_1d
FROM customers_1h WINDOW w AS (PARTITION BY customer ORDER BY `time`
  RANGE BETWEEN INTERVAL '23:59:59.999' HOUR TO SECOND PRECEDING AND CURRENT ROW);

CREATE TEMPORARY VIEW customers_7d AS
SELECT *, COUNT(*) OVER w AS cc_7d, SUM(amount) OVER w AS cs_7d, COUNT(DISTINCT terminal) OVER w AS ct_7d
FROM customers_1d WINDOW w AS (PARTITION BY customer ORDER BY `time`
  RANGE BETWEEN INTERVAL '6 23:59:59.999' DAY TO SECOND PRECEDING AND CURRENT ROW);

CREATE TEMPORARY VIEW customers_30d AS
SELECT *, COUNT(*) OVER w AS cc_30d, SUM(amount) OVER w AS cs_30d,
  STDDEV_SAMP(CAST(amount AS DOUBLE)) OVER w AS cd_30d
FROM customers_7d WINDOW w AS (PARTITION BY customer ORDER BY `time`
  RANGE BETWEEN INTERVAL '29 23:59:59.999' DAY TO SECOND PRECEDING AND CURRENT ROW);

CREATE TEMPORARY VIEW terminals_1h AS
SELECT *, COUNT(*) OVER w AS tc_1h
FROM customers_30d WINDOW w AS (PARTITION BY terminal ORDER BY `time`
  RANGE BETWEEN INTERVAL '59:59.999' MINUTE TO SECOND PRECEDING AND CURRENT ROW);

CREATE TEMPORARY VIEW terminals_1d AS
SELECT *, COUNT(*) OVER w AS tc_1d
FROM terminals_1h WINDOW w AS (PARTITION BY terminal ORDER BY `time`
  RANGE BETWEEN INTERVAL '23:59:59.999' HOUR TO SECOND PRECEDING AND CURRENT ROW);

CREATE TEMPORARY VIEW pairs AS
SELECT *, COUNT(*) OVER w AS pc, MIN(CAST(`time` AS TIMESTAMP_LTZ(3))) OVER w AS first_time
FROM terminals_1d WINDOW w AS (PARTITION BY customer, terminal ORDER BY `time`
  RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);

INSERT INTO features
SELECT id, customer, terminal,
  cc_5m, cs_5m, CAST(cs_5m AS DOUBLE) / cc_5m,
  cc_1h, cs_1h, CAST(cs_1h AS DOUBLE) / cc_1h,
  cc_1d, cs_1d, CAST(cs_1d AS DOUBLE) / cc_1d,
  cc_7d, cs_7d, CAST(cs_7d AS DOUBLE) / cc_7d,
  cc_30d, cs_30d, CAST(cs_30d AS DOUBLE) / cc_30d, cd_30d,
  ct_1d, ct_7d, tc_1h, tc_1d, pc,
  CAST(TIMESTAMPDIFF(SECOND, first_time, CAST(`time` AS TIMESTAMP_LTZ(3))) AS BIGINT)
FROM pairs;
