package spool

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The files of an export. The manifest is written last: what has none is not
// whole.
const (
	manifestFile  = "manifest.json"
	signatureFile = "manifest.sig" // 64 bytes, over the bytes of the manifest
)

// recordFiles are those that become the files of another store.
var recordFiles = []string{databaseFile, keyFile, highWaterFile}

// exportFormat is the manifest's version.
const exportFormat = 1

// ErrBadExport says that the files are not what a box has exported: which
// file, and why.
var ErrBadExport = errors.New("this export cannot be taken")

// Origin names who makes an export, for the person who takes it in.
type Origin struct {
	Box     string `json:"box,omitempty"`
	Version string `json:"version,omitempty"` // of this program
}

// Manifest says what an export holds. The box signs it.
type Manifest struct {
	Format int `json:"format"`
	Origin
	PublicKey string    `json:"public_key"` // as FormatKey writes it
	CreatedAt time.Time `json:"created_at"`
	Clock     string    `json:"clock"` // as in the envelope: whether CreatedAt can be trusted
	Contents
	Files []ManifestFile `json:"files"`
}

// ManifestFile is one file of an export.
type ManifestFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// Contents is what a store holds at one moment.
type Contents struct {
	Schema        int                      `json:"schema"`
	Messages      int                      `json:"messages"`
	Drafts        int                      `json:"drafts"`
	FirstSequence uint64                   `json:"first_sequence"` // 0 where there is no message
	LastSequence  uint64                   `json:"last_sequence"`
	Deliveries    map[string]map[State]int `json:"deliveries"` // by destination
	AuditRows     uint64                   `json:"audit_rows"` // number of the newest
	AuditHash     string                   `json:"audit_hash"` // its hash, hex
}

// queryer is a database, a connection or a transaction.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// contents counts what the database holds.
func contents(ctx context.Context, q queryer) (Contents, error) {
	c := Contents{Deliveries: map[string]map[State]int{}}
	err := q.QueryRowContext(ctx, `SELECT (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM messages),
		(SELECT count(*) FROM drafts), (SELECT ifnull(min(seq), 0) FROM messages), (SELECT ifnull(max(seq), 0) FROM messages),
		(SELECT ifnull(max(n), 0) FROM audit), ifnull((SELECT lower(hex(hash)) FROM audit ORDER BY n DESC LIMIT 1), '')`).
		Scan(&c.Schema, &c.Messages, &c.Drafts, &c.FirstSequence, &c.LastSequence, &c.AuditRows, &c.AuditHash)
	if err != nil {
		return c, err
	}
	rows, err := q.QueryContext(ctx, "SELECT destination, state, count(*) FROM deliveries GROUP BY destination, state")
	if err != nil {
		return c, err
	}
	defer rows.Close()
	for rows.Next() {
		var destination string
		var state State
		var n int
		if err := rows.Scan(&destination, &state, &n); err != nil {
			return c, err
		}
		if c.Deliveries[destination] == nil {
			c.Deliveries[destination] = map[State]int{}
		}
		c.Deliveries[destination][state] = n
	}
	return c, rows.Err()
}

// seal returns the manifest's text and its signature.
func (m *Manifest) seal(key ed25519.PrivateKey) (text, signature []byte, err error) {
	m.PublicKey = FormatKey(key.Public().(ed25519.PublicKey))
	if text, err = json.MarshalIndent(m, "", "  "); err != nil {
		return nil, nil, err
	}
	text = append(text, '\n')
	return text, ed25519.Sign(key, text), nil
}

// ReadManifest reads the manifest of an export and verifies its signature. Where
// key is nil, the key that the manifest itself names is taken: it proves that
// nothing was changed since, and a person has to compare it.
func ReadManifest(directory string, key ed25519.PublicKey) (Manifest, error) {
	text, err := os.ReadFile(filepath.Join(directory, manifestFile))
	if errors.Is(err, os.ErrNotExist) {
		return Manifest{}, fmt.Errorf("%w: there is no %s in %s, so it holds no export, or one that was interrupted: export again", ErrBadExport, manifestFile, directory)
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("reading the export: %w", err)
	}
	signature, err := os.ReadFile(filepath.Join(directory, signatureFile))
	if err != nil {
		return Manifest{}, fmt.Errorf("%w: %s: %w", ErrBadExport, signatureFile, err)
	}
	return openManifest(text, signature, key)
}

func openManifest(text, signature []byte, key ed25519.PublicKey) (m Manifest, err error) {
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%w: %s: %w", ErrBadExport, manifestFile, err)
	}
	if m.Format != exportFormat {
		return m, fmt.Errorf("%w: %s has format %d and this release reads %d; install the release that wrote it, or a newer one", ErrBadExport, manifestFile, m.Format, exportFormat)
	}
	named, err := ParseKey(m.PublicKey)
	if err != nil {
		return m, fmt.Errorf("%w: %s: %w", ErrBadExport, manifestFile, err)
	}
	if key != nil && !key.Equal(named) {
		return m, fmt.Errorf("%w: it is signed with the key %s, not with the one that was asked for: it comes from another box", ErrBadExport, m.PublicKey)
	}
	if !ed25519.Verify(named, text, signature) {
		return m, fmt.Errorf("%w: %s does not fit its signature in %s: one of them was changed", ErrBadExport, manifestFile, signatureFile)
	}
	for _, file := range m.Files {
		if !slices.Contains(recordFiles, file.Name) {
			return m, fmt.Errorf("%w: %s names %q, which no export has", ErrBadExport, manifestFile, file.Name)
		}
	}
	for _, name := range recordFiles {
		if !slices.ContainsFunc(m.Files, func(f ManifestFile) bool { return f.Name == name }) {
			return m, fmt.Errorf("%w: %s does not name %s", ErrBadExport, manifestFile, name)
		}
	}
	return m, nil
}

// differ says where the contents differ, but for the schema, which a release
// brings up to date.
func (c Contents) differ(other Contents) error {
	c.Schema, other.Schema = 0, 0
	have, err := json.Marshal(c)
	if err != nil {
		return err
	}
	want, err := json.Marshal(other)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, want) {
		return fmt.Errorf("%w: %s holds %s, and %s says %s", ErrBadExport, databaseFile, have, manifestFile, want)
	}
	return nil
}
