SELECT
    chain_id, epoch, rows, numbers, first, last, rows - numbers AS doubled,
    last - first + 1 - numbers AS missing
FROM streams ORDER BY chain_id, epoch DESC LIMIT 100
