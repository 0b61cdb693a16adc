-- One memory bank. PRAGMA application_id and user_version, set by database.py, mark the file and its schema version.

-- Entry 0 is core, present while core is not empty; every other entry is episodic or semantic.
-- Ids come from the bank's counter (1 + the largest id in the journal), so a deleted id is never given again.
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    store TEXT NOT NULL CHECK ((id = 0) = (store = 'core')),
    text TEXT NOT NULL,
    timestamp TEXT NOT NULL,         -- ISO 8601, '' when undated
    sources TEXT NOT NULL,           -- JSON list of turn ids
    created_step INTEGER NOT NULL,
    updated_step INTEGER NOT NULL,
    UNIQUE (store, text)             -- exact duplicates are refused
);
CREATE INDEX entries_newest ON entries (store, updated_step);

-- One row per operation, failed ones included. before and after are whole entries, so undo and replay need no more.
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    step INTEGER NOT NULL,
    operation TEXT NOT NULL,         -- JSON object, fields of Operation
    status TEXT NOT NULL,            -- 'ok' or 'failed'
    code TEXT NOT NULL,              -- one of FAILURE_CODES, '' when ok
    reason TEXT NOT NULL,            -- '' when ok
    entry_id INTEGER,                -- the entry written, NULL for search, noop and failures
    before TEXT,                     -- JSON object, fields of Entry; NULL when there was none
    after TEXT,                      -- JSON object, fields of Entry; NULL when there is none
    found TEXT                       -- search: JSON list of entry ids, best first
);
CREATE INDEX journal_step ON journal (step);

-- A bank that is searched by vectors has a fourth table, which dense.py makes when it is first needed.

-- BM25 over the episodic and semantic texts. The texts stay in entries; the triggers keep the index equal to them.
CREATE VIEW entries_searched AS SELECT id, text FROM entries WHERE id > 0;
CREATE VIRTUAL TABLE entries_index USING fts5(
    text, content = 'entries_searched', content_rowid = 'id', tokenize = 'porter unicode61'
);
CREATE TRIGGER entries_insert AFTER INSERT ON entries WHEN new.id > 0 BEGIN
    INSERT INTO entries_index (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER entries_delete AFTER DELETE ON entries WHEN old.id > 0 BEGIN
    INSERT INTO entries_index (entries_index, rowid, text) VALUES ('delete', old.id, old.text);
END;
CREATE TRIGGER entries_update AFTER UPDATE OF text ON entries WHEN old.id > 0 BEGIN
    INSERT INTO entries_index (entries_index, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO entries_index (rowid, text) VALUES (new.id, new.text);
END;
