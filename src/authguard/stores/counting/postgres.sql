-- Count quotas in PostgreSQL: the arithmetic of blocks.py. Times are in microseconds.
--
-- A step is one statement: a process that is paused within a transaction would make all others wait.
-- Functions have the number of their version in their names, so that two versions of the package can use one
-- database. The last one of this file is looked for, to tell whether all are there.

CREATE TABLE IF NOT EXISTS authguard_quotas (
    key TEXT PRIMARY KEY,
    epoch BIGINT NOT NULL,
    slots BIGINT[] NOT NULL,
    amounts BIGINT[] NOT NULL,
    until BIGINT NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX IF NOT EXISTS ix_authguard_quotas_until ON authguard_quotas (until);

CREATE UNLOGGED TABLE IF NOT EXISTS authguard_quota_processes (
    process TEXT PRIMARY KEY,
    seen BIGINT NOT NULL
);

CREATE OR REPLACE FUNCTION authguard_now_1() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN floor(extract(epoch FROM clock_timestamp()) * 1000000);
END $$;

CREATE OR REPLACE FUNCTION authguard_length_1(seconds bigint, is_daily boolean) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN is_daily THEN 86400000000 ELSE (seconds * 1000000 + 119) / 120 END;
END $$;

CREATE OR REPLACE FUNCTION authguard_used_1(c authguard_quotas) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    used bigint := 0;
    amount bigint;
BEGIN
    FOREACH amount IN ARRAY c.amounts LOOP
        used := used + amount;
    END LOOP;
    RETURN used;
END $$;

CREATE OR REPLACE FUNCTION authguard_add_1(c authguard_quotas, slot bigint, amount bigint)
RETURNS authguard_quotas LANGUAGE plpgsql AS $$
DECLARE
    size int := cardinality(c.slots);
BEGIN
    IF size > 0 AND c.slots[size] = slot THEN
        c.amounts[size] := c.amounts[size] + amount;
    ELSE
        c.slots := c.slots || slot;
        c.amounts := c.amounts || amount;
    END IF;
    RETURN c;
END $$;

-- The current slot, or the next one if the clock was set back; today, or tomorrow if something was taken then.
CREATE OR REPLACE FUNCTION authguard_current_1(
    c authguard_quotas, length bigint, is_daily boolean, now_us bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    current bigint := now_us / length;
    latest bigint := c.slots[cardinality(c.slots)];
BEGIN
    IF latest = current + 1 OR (latest > current AND NOT is_daily) THEN
        RETURN current + 1;
    END IF;
    RETURN current;
END $$;

CREATE OR REPLACE FUNCTION authguard_advance_1(c authguard_quotas, current bigint, is_daily boolean)
RETURNS authguard_quotas LANGUAGE plpgsql AS $$
DECLARE
    size int := cardinality(c.slots);
    skipped int := 0;
    later bigint := 0;
    first bigint := CASE WHEN is_daily THEN current ELSE current - 120 END;
BEGIN
    WHILE size > 0 AND c.slots[size] > current LOOP
        later := later + c.amounts[size];
        size := size - 1;
    END LOOP;
    WHILE skipped < size AND c.slots[skipped + 1] < first LOOP
        skipped := skipped + 1;
    END LOOP;
    IF skipped > 0 OR later > 0 THEN
        c.slots := c.slots[skipped + 1:size];
        c.amounts := c.amounts[skipped + 1:size];
    END IF;
    IF later > 0 THEN
        c.epoch := c.epoch + 1;
        c := authguard_add_1(c, current, later);
    END IF;
    RETURN c;
END $$;

-- A rest is [epoch, slot, amount, …].
CREATE OR REPLACE FUNCTION authguard_rest_1(c authguard_quotas, rest jsonb)
RETURNS authguard_quotas LANGUAGE plpgsql AS $$
DECLARE
    place int := array_position(c.slots, (rest->>1)::bigint);
BEGIN
    IF place IS NULL OR c.epoch <> (rest->>0)::bigint THEN
        RETURN c;
    END IF;
    IF c.amounts[place] > (rest->>2)::bigint THEN
        c.amounts[place] := c.amounts[place] - (rest->>2)::bigint;
    ELSE
        c.slots := c.slots[:place - 1] || c.slots[place + 1:];
        c.amounts := c.amounts[:place - 1] || c.amounts[place + 1:];
    END IF;
    RETURN c;
END $$;

CREATE OR REPLACE FUNCTION authguard_put_1(c authguard_quotas, length bigint, is_daily boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    c.until := coalesce((c.slots[cardinality(c.slots)] + CASE WHEN is_daily THEN 1 ELSE 121 END) * length, 0);
    c.until := (c.until + 599999999) / 600000000 * 600000000;
    INSERT INTO authguard_quotas VALUES (c.*) ON CONFLICT (key) DO UPDATE SET
        epoch = excluded.epoch, slots = excluded.slots, amounts = excluded.amounts, until = excluded.until;
END $$;

-- An ask is [key, limit, window, is_daily, cost, enforce, wants, rests].
CREATE OR REPLACE FUNCTION authguard_step_1(asks jsonb, live bigint, now_us bigint) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    size int := jsonb_array_length(asks);
    ask jsonb;
    rest jsonb;
    counters authguard_quotas[];
    currents bigint[];
    epochs bigint[];
    answers jsonb := '[]';
    admitted boolean := true;
    c authguard_quotas;
    current bigint;
    limited bigint;
    is_daily boolean;
    length bigint;
    counted bigint;
    cost bigint;
    used bigint;
    free bigint;
    place int;
    wait bigint;
    reset bigint;
    ends_in bigint;
    lent bigint;
BEGIN
    FOR i IN 0..size - 1 LOOP
        ask := asks->i;
        is_daily := (ask->>3)::boolean;
        length := authguard_length_1((ask->>2)::bigint, is_daily);
        SELECT * INTO c FROM authguard_quotas AS q WHERE q.key = ask->>0;
        IF NOT FOUND THEN
            c := ROW(ask->>0, now_us, '{}'::bigint[], '{}'::bigint[], 0)::authguard_quotas;
        END IF;
        epochs[i] := c.epoch;
        currents[i] := authguard_current_1(c, length, is_daily, now_us);
        c := authguard_advance_1(c, currents[i], is_daily);
        FOR rest IN SELECT value FROM jsonb_array_elements(ask->7) LOOP
            c := authguard_rest_1(c, rest);
        END LOOP;
        counters[i] := c;
        IF (ask->>5)::boolean AND authguard_used_1(c) + (ask->>4)::bigint > (ask->>1)::bigint THEN
            admitted := false;
        END IF;
    END LOOP;
    FOR i IN 0..size - 1 LOOP
        ask := asks->i;
        c := counters[i];
        current := currents[i];
        limited := (ask->>1)::bigint;
        is_daily := (ask->>3)::boolean;
        length := authguard_length_1((ask->>2)::bigint, is_daily);
        counted := CASE WHEN is_daily THEN 1 ELSE 121 END;
        cost := (ask->>4)::bigint;
        used := authguard_used_1(c);
        lent := 0;
        wait := 0;
        IF cost > limited THEN
            wait := -1;
        ELSIF used + cost > limited THEN
            free := limited - used;
            place := 0;
            WHILE free < cost LOOP
                place := place + 1;
                free := free + c.amounts[place];
            END LOOP;
            wait := (c.slots[place] + counted) * length - now_us;
        ELSIF admitted THEN
            used := used + cost;
            IF used * 100 <= limited * 95 THEN
                lent := least(64, (limited - used) / (2 * live)) - cost;
                lent := greatest(0, least(lent, (ask->>6)::bigint));
            END IF;
            used := used + lent;
            c := authguard_add_1(c, current, cost + lent);
        END IF;
        IF admitted OR jsonb_array_length(ask->7) > 0 OR c.epoch <> epochs[i] THEN
            PERFORM authguard_put_1(c, length, is_daily);
        END IF;
        reset := coalesce((c.slots[1] + counted) * length - now_us, 0);
        ends_in := (current + 1) * length - now_us;
        ends_in := least(ends_in, CASE WHEN is_daily THEN 720000000 ELSE length END);
        answers := answers || jsonb_build_array(
            jsonb_build_array(used, reset, wait, c.epoch, current, ends_in, lent)
        );
    END LOOP;
    RETURN jsonb_build_array(admitted, answers);
END $$;

-- All steps of one owner come one after another, and the clock is read when it is this one's turn.
CREATE OR REPLACE FUNCTION authguard_take_1(owner text, asks jsonb, live bigint) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(owner, 1635087464));
    RETURN authguard_step_1(asks, live, authguard_now_1());
END $$;

CREATE OR REPLACE FUNCTION authguard_give_one_1(rest jsonb, now_us bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    c authguard_quotas;
    is_daily boolean := (rest->>5)::boolean;
    length bigint := authguard_length_1((rest->>4)::bigint, is_daily);
BEGIN
    SELECT * INTO c FROM authguard_quotas AS q WHERE q.key = rest->>3;
    IF FOUND THEN
        c := authguard_advance_1(c, authguard_current_1(c, length, is_daily, now_us), is_daily);
        PERFORM authguard_put_1(authguard_rest_1(c, rest), length, is_daily);
    END IF;
END $$;

-- A rest is [epoch, slot, amount, key, window, is_daily, owner]. Owners are locked in one order, by all
-- processes, so that no two wait for each other.
CREATE OR REPLACE FUNCTION authguard_give_back_1(rests jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    rest jsonb;
BEGIN
    FOR rest IN
        SELECT value FROM jsonb_array_elements(rests) ORDER BY hashtextextended(value->>6, 1635087464)
    LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended(rest->>6, 1635087464));
        PERFORM authguard_give_one_1(rest, authguard_now_1());
    END LOOP;
END $$;
