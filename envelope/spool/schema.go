package spool

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"modernc.org/sqlite"
)

// pageSize is small because a commit writes whole pages: a message of 1 KiB
// touches about a dozen of them, and cards wear by bytes written: 23 KiB for such
// a message alone, where pages of 2 KiB make it 37. Stores that were made with
// those keep them.
const pageSize = 1024

// schema makes the tables of version 1; [migrations] add the rest.
const schema = `
CREATE TABLE meta (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE boots (
	id   INTEGER PRIMARY KEY,
	boot TEXT NOT NULL UNIQUE
);

-- control and earlier: the control ids of the lane's last two messages.
CREATE TABLE lanes (
	id      INTEGER PRIMARY KEY,
	name    TEXT NOT NULL UNIQUE,
	control TEXT NOT NULL DEFAULT '',
	earlier TEXT NOT NULL DEFAULT ''
);

CREATE TABLE destinations (
	name    TEXT PRIMARY KEY,
	binding TEXT NOT NULL,
	active  INTEGER NOT NULL,
	since   INTEGER NOT NULL,
	held    TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

-- raw is kept with the first part only; the other parts follow it without a
-- gap. received_at is in microseconds since 1970.
CREATE TABLE messages (
	seq          INTEGER PRIMARY KEY,
	id           TEXT NOT NULL UNIQUE,
	message_id   TEXT NOT NULL,
	part         INTEGER NOT NULL,
	lane         INTEGER NOT NULL REFERENCES lanes (id),
	instrument   TEXT NOT NULL,
	kind         TEXT NOT NULL,
	sample_id    TEXT NOT NULL,
	received_at  INTEGER NOT NULL,
	clock        TEXT NOT NULL,
	boot         INTEGER NOT NULL REFERENCES boots (id),
	monotonic    INTEGER NOT NULL,
	remote       TEXT NOT NULL,
	control_id   TEXT NOT NULL,
	message_time TEXT NOT NULL,
	intake       TEXT NOT NULL,
	reason       TEXT NOT NULL,
	withheld     TEXT NOT NULL,
	digest       TEXT NOT NULL,
	duplicate_of TEXT NOT NULL,
	repeat       INTEGER NOT NULL,
	crc          INTEGER NOT NULL,
	envelope     BLOB NOT NULL,
	raw          BLOB
);
CREATE INDEX messages_message ON messages (message_id);
CREATE INDEX messages_sample ON messages (sample_id) WHERE sample_id <> '';
CREATE INDEX messages_time ON messages (received_at, instrument);
CREATE INDEX messages_digest ON messages (substr(digest, 1, 16)) WHERE digest <> '';

CREATE TABLE deliveries (
	seq         INTEGER NOT NULL REFERENCES messages (seq) ON DELETE CASCADE,
	destination TEXT NOT NULL,
	lane        INTEGER NOT NULL,
	state       TEXT NOT NULL,
	reason      TEXT NOT NULL,
	attempts    INTEGER NOT NULL,
	refusals    INTEGER NOT NULL,
	changed_at  INTEGER NOT NULL,
	crc         INTEGER NOT NULL,
	PRIMARY KEY (seq, destination)
) WITHOUT ROWID;
CREATE INDEX deliveries_pending ON deliveries (destination, lane, seq) WHERE state = 'pending';
CREATE INDEX deliveries_exceptions ON deliveries (state, seq) WHERE state NOT IN ('pending', 'delivered', 'confirmed');

CREATE TABLE drafts (
	line       TEXT PRIMARY KEY,
	changed_at INTEGER NOT NULL,
	body       BLOB NOT NULL,
	crc        INTEGER NOT NULL
);

-- hash is SHA-256 over the hash of the row before and this row's fields.
CREATE TABLE audit (
	n           INTEGER PRIMARY KEY,
	at          INTEGER NOT NULL,
	clock       TEXT NOT NULL,
	what        TEXT NOT NULL,
	seq         INTEGER NOT NULL,
	destination TEXT NOT NULL,
	who         TEXT NOT NULL,
	detail      TEXT NOT NULL,
	hash        BLOB NOT NULL
);
CREATE INDEX audit_seq ON audit (seq) WHERE seq > 0;

INSERT INTO meta VALUES ('compatible_from', '1');
`

// connector opens connections to the database and refuses any that would not
// be durable.
type connector struct {
	driver.Connector
	pragmas []string
	journal string // the mode that it must have; "": nothing is written
}

// Connect opens one connection, sets its pragmas and reads the two back that
// the promise rests on: SQLite answers a journal mode that it cannot set with
// the old one, and without an error.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	connection, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.prepare(ctx, connection); err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	return connection, nil
}

func (c connector) prepare(ctx context.Context, connection driver.Conn) error {
	for _, pragma := range slices.Concat(c.pragmas, []string{"synchronous = FULL", "foreign_keys = ON"}) {
		if _, err := ask(ctx, connection, "PRAGMA "+pragma); err != nil {
			return fmt.Errorf("setting %s: %w", pragma, err)
		}
	}
	for pragma, want := range map[string]string{"journal_mode": c.journal, "synchronous": "2"} {
		if want == "" {
			continue
		}
		have, err := ask(ctx, connection, "PRAGMA "+pragma)
		if err != nil {
			return fmt.Errorf("reading %s: %w", pragma, err)
		}
		if have != want {
			return fmt.Errorf("%s is %s, not %s: acknowledged messages could be lost", pragma, have, want)
		}
	}
	return nil
}

// ask runs one statement and returns the first value of its first row as text.
func ask(ctx context.Context, connection driver.Conn, query string) (string, error) {
	queryer, ok := connection.(driver.QueryerContext)
	if !ok {
		return "", fmt.Errorf("a %T cannot be asked", connection)
	}
	rows, err := queryer.QueryContext(ctx, query, nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	values := make([]driver.Value, len(rows.Columns()))
	if len(values) == 0 || rows.Next(values) != nil {
		return "", nil
	}
	return fmt.Sprint(values[0]), nil
}

func openDatabase(directory, query string, pragmas ...string) (*sql.DB, error) {
	address := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(directory, databaseFile)), RawQuery: query}
	base, err := sqlite.NewConnector(address.String())
	if err != nil {
		return nil, err
	}
	journal := "wal"
	if query == frozen {
		journal = ""
	}
	return sql.OpenDB(connector{base, append([]string{"busy_timeout = 5000"}, pragmas...), journal}), nil
}

// createDatabase opens the database for the writer and makes its tables where
// they are missing.
func createDatabase(ctx context.Context, directory string) (*sql.DB, error) {
	// The file is made here because SQLite would let others read it; the WAL
	// takes its mode from it.
	file, err := os.OpenFile(filepath.Join(directory, databaseFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	if err := rewriteWAL(directory); err != nil {
		return nil, err
	}
	// SQLite's default is fsync; fdatasync is as durable and spares a write of
	// the file's times. Where a system has none, fsync stays.
	if _, err := sqlite.Fdatasync(true); err != nil && !errors.Is(err, sqlite.ErrFdatasyncUnavailable) {
		return nil, err
	}
	// Both settings only take before the first table.
	database, err := openDatabase(directory, "",
		"page_size = "+strconv.Itoa(pageSize), "auto_vacuum = INCREMENTAL", "journal_mode = WAL", "cache_size = -4096")
	if err != nil {
		return nil, err
	}
	database.SetMaxOpenConns(1)
	if err := refold(ctx, database); err != nil {
		return nil, errors.Join(err, database.Close())
	}
	if err := migrate(ctx, database); err != nil {
		return nil, errors.Join(err, database.Close())
	}
	if err := syncDirectory(directory); err != nil {
		return nil, errors.Join(err, database.Close())
	}
	return database, syncDirectory(filepath.Dir(directory))
}

// How the connections that only read see the database, as SQLite is asked for it.
const (
	owned  = ""                    // this process writes: they wait for its checkpoint rather than fail
	shared = "mode=ro"             // another process may write; the WAL's index is made where it is missing
	frozen = "mode=ro&immutable=1" // nobody writes, and the WAL is not read
)

// openReaders opens the connections that only read.
func openReaders(ctx context.Context, directory, query string) (*sql.DB, error) {
	database, err := openDatabase(directory, query, "query_only = ON", "cache_size = -1024")
	if err != nil {
		return nil, err
	}
	database.SetMaxOpenConns(4)
	database.SetMaxIdleConns(2)
	if err := database.PingContext(ctx); err != nil {
		return nil, errors.Join(err, database.Close())
	}
	return database, nil
}
