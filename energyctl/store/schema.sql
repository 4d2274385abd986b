CREATE TABLE "commit" (
    id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    ts BIGINT NOT NULL,
    slot INTEGER NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE journal (
    id INTEGER NOT NULL,
    cycle INTEGER NOT NULL,
    ts BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    point VARCHAR NOT NULL,
    value FLOAT,
    rank VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE latest (
    point_id INTEGER NOT NULL,
    ts BIGINT NOT NULL,
    value FLOAT,
    quality INTEGER NOT NULL,
    reason VARCHAR,
    PRIMARY KEY (point_id)
);

CREATE TABLE owned (
    point VARCHAR NOT NULL,
    found FLOAT,
    since BIGINT NOT NULL,
    PRIMARY KEY (point)
);

CREATE TABLE past (
    point VARCHAR NOT NULL,
    ts BIGINT NOT NULL,
    uptime_s FLOAT NOT NULL,
    boot VARCHAR NOT NULL,
    changed_s FLOAT,
    "on" INTEGER,
    switched_s FLOAT,
    tokens FLOAT NOT NULL,
    day VARCHAR NOT NULL,
    writes INTEGER NOT NULL,
    PRIMARY KEY (point)
);

CREATE TABLE "plan" (
    id INTEGER NOT NULL,
    issued_at BIGINT NOT NULL,
    body VARCHAR NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE point (
    id INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE quarter (
    slot INTEGER NOT NULL,
    point_id INTEGER NOT NULL,
    total FLOAT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (slot, point_id)
)
 WITHOUT ROWID;

CREATE TABLE sample (
    ts BIGINT NOT NULL,
    point_id INTEGER NOT NULL,
    value FLOAT,
    quality INTEGER NOT NULL,
    reason VARCHAR,
    PRIMARY KEY (ts, point_id)
)
 WITHOUT ROWID;

CREATE INDEX journal_by_point ON journal (point, id);
