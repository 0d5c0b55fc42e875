package main

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// resetText is what no stick may carry away.
const resetText = "MSH|^~\\&|PATIENT-CANARY"

// takeIn has the box store a message, and waits for the file of it.
func (b *stickBox) takeIn(t *testing.T) (id string) {
	t.Helper()
	return b.takeInTo(t, filepath.Join(b.root, "captures"))
}

func (b *stickBox) takeInTo(t *testing.T, captures string) (id string) {
	t.Helper()
	g, away := b.standing.now()
	if g == nil {
		t.Fatal(away)
	}
	id = uuid.Must(uuid.NewV7()).String()
	_, err := g.store.Put(t.Context(), envelope.Envelope{
		ID: id, MessageID: id, Protocol: envelope.HL7, Instrument: "lan", Lane: "lan", ReceivedAt: time.Now(), Clock: envelope.ClockSet,
		Intake: envelope.Accepted, Kind: envelope.KindResult, SampleID: "S-1", Digest: id, Raw: []byte(resetText + id),
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message is a file", func() bool {
		names, err := capturesIn(captures)
		if err != nil {
			t.Fatal(err)
		}
		return len(names) > 0
	})
	return id
}

// has reports whether the message is in the box's store.
func (b *stickBox) has(t *testing.T, id string) bool {
	t.Helper()
	g, away := b.standing.now()
	if g == nil {
		t.Fatal(away)
	}
	_, err := g.store.Show(t.Context(), id)
	if err != nil && !errors.Is(err, spool.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// startAnew carries a reset out as the next start of the process does, and starts.
func (b *stickBox) startAnew(t *testing.T) {
	t.Helper()
	r := flags{Config: b.path, Factory: filepath.Join(b.root, "factory.yaml")}.resetting(slog.New(slog.DiscardHandler))
	if err := r.carryOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	if there(b.path) || there(r.beside(resetFile)) {
		t.Fatal("the box was not reset")
	}
	b.start(t)
}

// wantResetAsked waits for the gateway to end because a stick asks for a reset.
func (b *stickBox) wantResetAsked(t *testing.T) {
	t.Helper()
	if err := <-b.ended; !errors.Is(err, errResetAsked) {
		t.Fatalf("the gateway ended: %v", err)
	}
	b.ended <- nil // for end
}

// button is the reset button, held while the box starts.
func (b *stickBox) button(t *testing.T) {
	t.Helper()
	b.end()
	b.write(t, filepath.Join(filepath.Dir(b.path), resetFile), `{"by": "the reset button"}`)
	b.startAnew(t)
}

func (b *stickBox) sealedStores(t *testing.T) []spool.Sealed {
	t.Helper()
	list, err := spool.ListSealed(filepath.Join(b.root, "spool"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestStickResetsABoxWithoutOwner(t *testing.T) {
	t.Parallel()
	b := newStickBox(t, baseConfig)
	id := b.takeIn(t)
	b.plug(t, map[string]string{"Reset.txt": "", "assaygate.yaml": b.text(baseConfig)})
	b.wantResetAsked(t)
	b.wantReport(t, "All is well.", "reset: configuration, secrets and owner are removed now. Its store is set aside, sealed.")
	b.startAnew(t)
	list := b.sealedStores(t)
	if len(list) != 1 || list[0].Messages != 1 || list[0].Owner != "" || b.has(t, id) {
		t.Errorf("sealed: %+v; the message is in the new store: %v", list, b.has(t, id))
	}
	// The stick is still in: it sets the box up, and resets it no more.
	b.wantReport(t, runs, "reset: was carried out before", "1: 1 message, 0 not delivered, of a box without owner")
	if b.read(t, b.path) != b.text(baseConfig) {
		t.Errorf("saved is %s", b.read(t, b.path))
	}
	// Nobody owned it, so it opens for any stick.
	b.plug(t, map[string]string{"unseal": ""})
	b.wantReport(t, "All is well.", "unseal: store 1 is the box's store again: 1 message, 0 not delivered.")
	if !b.has(t, id) || len(b.sealedStores(t)) > 0 {
		t.Errorf("the message is back: %v", b.has(t, id))
	}
	if names, err := capturesIn(filepath.Join(b.root, "captures")); err != nil || len(names) != 1 {
		t.Errorf("captures: %q, %v", names, err)
	}
}

// ownedBy is the base configuration with an owner.
func ownedBy(key ed25519.PrivateKey) string {
	return baseConfig + "owner: {public_key: \"" + owner.FormatKey(publicOf(key)) + "\"}\n"
}

func TestOnlyTheOwnerResetsAnOwnedBoxWithAStick(t *testing.T) {
	t.Parallel()
	mine := ownerKey(1)
	b := newStickBox(t, ownedBy(mine))
	id := b.takeIn(t)
	b.plug(t, map[string]string{"reset": ""})
	b.wantReport(t, "Nothing was changed", "this stick is not signed by it")
	b.plug(t, map[string]string{"reset": ""}, signed(t, ownerKey(2), owner.Manifest{Revision: 1}))
	b.wantReport(t, "Nothing was changed", "is not signed by this box's owner")
	b.plug(t, map[string]string{"reset": ""}, signed(t, mine, owner.Manifest{Revision: 7}))
	b.wantResetAsked(t)
	b.startAnew(t)
	eventually(t, "the new process reports", func() bool {
		report, _ := os.ReadFile(filepath.Join(b.stick, configdrive.ReportName)) // it is replaced as a whole
		return strings.Contains(string(report), "reset: was carried out before")
	})
	if !b.has(t, id) || len(b.sealedStores(t)) > 0 {
		t.Errorf("the owner's store: %v, sealed %+v", b.has(t, id), b.sealedStores(t))
	}
	if key, err := (ownership{config: b.path}).pinned(); key != nil || err != nil {
		t.Errorf("the box has an owner: %v, %v", key, err)
	}
	// The box is his again. His older sticks are not taken for that.
	b.plug(t, map[string]string{"assaygate.yaml": b.text(ownedBy(mine))})
	b.wantReport(t, runs)
	b.plug(t, map[string]string{"reset": ""}, signed(t, mine, owner.Manifest{Revision: 6}))
	b.wantReport(t, "Nothing was changed", "signed as revision 6, but this box took revision 7 before")
}

func TestUnsealPutsTheOwnersStoreBack(t *testing.T) {
	t.Parallel()
	mine := ownerKey(1)
	b := newStickBox(t, ownedBy(mine))
	id := b.takeIn(t)
	b.button(t)
	files := map[string]string{"unseal": ""}
	b.plug(t, files)
	b.wantReport(t, "Not all is well", "it opens with a stick that its owner "+owner.FormatKey(publicOf(mine))+" has signed: this one is not signed")
	b.plug(t, files, signed(t, ownerKey(2), owner.Manifest{Revision: 5}))
	b.wantReport(t, "Not all is well", "is not signed by this box's owner")
	b.plug(t, files, signed(t, mine, owner.Manifest{Revision: 5, Serials: []string{"nobody"}}))
	b.wantReport(t, "Not all is well", "signed for box nobody")
	if b.has(t, id) || len(b.sealedStores(t)) != 1 {
		t.Fatal("the store is open")
	}
	b.plug(t, files, signed(t, mine, owner.Manifest{Revision: 5}))
	b.wantReport(t, "All is well.", "unseal: store 1 is the box's store again: 1 message, 0 not delivered.")
	if !b.has(t, id) || len(b.sealedStores(t)) > 0 {
		t.Error("the store is not back")
	}
}

func TestUnsealBesideMessagesOfANewOwner(t *testing.T) {
	t.Parallel()
	mine, next := ownerKey(1), ownerKey(2)
	b := newStickBox(t, ownedBy(mine))
	b.takeIn(t)
	b.button(t)
	b.plug(t, map[string]string{"assaygate.yaml": b.text(ownedBy(next))})
	b.wantReport(t, runs)
	new := b.takeIn(t)
	refused := "Nothing was changed"
	b.plug(t, map[string]string{"unseal": "", "collect": ""}, signed(t, mine, owner.Manifest{Revision: 5}))
	b.wantReport(t, refused, "it may carry the file unseal, and nothing else")
	b.plug(t, map[string]string{"collect": ""}, signed(t, mine, owner.Manifest{Revision: 5}))
	b.wantReport(t, refused, "is not signed by this box's owner")
	b.plug(t, map[string]string{"unseal": ""}, signed(t, next, owner.Manifest{Revision: 5}))
	b.wantReport(t, "Not all is well", "it opens with a stick that its owner "+owner.FormatKey(publicOf(mine)))

	b.plug(t, map[string]string{"unseal": ""}, signed(t, mine, owner.Manifest{Revision: 5}))
	b.wantReport(t, "All is well.", "store 1 stays sealed; its records are in assaygate-sealed-1-records.tar.age and assaygate-sealed-1-captures.tar.age. Only its owner's key opens them")
	if !b.has(t, new) || len(b.sealedStores(t)) != 1 {
		t.Error("the new owner's store is another one")
	}
	opened := func(what string, key ed25519.PrivateKey) (io.Reader, error) {
		return owner.Decrypt(strings.NewReader(b.read(t, filepath.Join(b.stick, "assaygate-sealed-1-"+what+".tar.age"))), key)
	}
	if _, err := opened("records", next); err == nil {
		t.Error("the new owner can open it")
	}
	records, err := opened("records", mine)
	if err != nil {
		t.Fatal(err)
	}
	directory := filepath.Join(t.TempDir(), "records")
	if err := spool.Unpack(t.Context(), records, directory, nil); err != nil {
		t.Fatal(err)
	}
	if m, _, err := spool.Check(t.Context(), directory, nil, nil); err != nil || m.Messages != 1 || m.Box != "box-1" {
		t.Errorf("the records are %+v, %v", m, err)
	}
	captures, err := opened("captures", mine)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(captures)
	header, err := archive.Next()
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(archive); err != nil || !strings.HasPrefix(header.Name, "captures/2") || !bytes.HasPrefix(text, []byte(resetText)) {
		t.Errorf("the capture is %s %q, %v", header.Name, text, err)
	}

	// His older stick is not taken any more; the new owner has it erased.
	b.plug(t, map[string]string{"unseal": ""}, signed(t, mine, owner.Manifest{Revision: 4}))
	b.wantReport(t, refused)
	b.plug(t, map[string]string{"erase-sealed": "1 mine"})
	b.wantReport(t, refused)
	if len(b.sealedStores(t)) != 1 {
		t.Fatal("erased by anybody")
	}
	b.plug(t, map[string]string{"erase-sealed": ""}, signed(t, next, owner.Manifest{Revision: 6}))
	b.wantReport(t, "Not all is well", "write the number of the sealed store and the reason into the file")
	b.plug(t, map[string]string{"erase-sealed": "1 the old owner has agreed\r\n"}, signed(t, next, owner.Manifest{Revision: 7}))
	b.wantReport(t, "All is well.", "erase-sealed: store 1 is erased.")
	if len(b.sealedStores(t)) > 0 || there(filepath.Join(b.root, "captures.sealed-1")) {
		t.Error("it is still there")
	}
}

// Whoever finds a box, resets it with its button and configures it as he likes,
// gets nothing of the old owner's.
func TestNoConfigurationLeadsToASealedStore(t *testing.T) {
	t.Parallel()
	within := strings.NewReplacer("ROOT/captures", "ROOT/captures/of", "ROOT/spool", "ROOT/captures/spool")
	b := newStickBox(t, within.Replace(ownedBy(ownerKey(1))))
	b.takeInTo(t, filepath.Join(b.root, "captures", "of"))
	b.button(t)
	for _, place := range []string{"/spool.sealed-1", "/captures.sealed-1", "/x/../spool.sealed-1/import.ready"} {
		for _, line := range []string{
			"spool: {directory: ROOT" + place + "}", "profiles: ROOT" + place, "admin: {token_file: ROOT" + place + "/spool.db}",
			"destinations: [{name: x, capture: {directory: ROOT" + place + "}}]",
			"destinations: [{name: x, senaite: {url: \"http://127.0.0.1/\", username: u, password_file: ROOT" + place + "/box.key}}]",
		} {
			_, err := parseConfig([]byte(b.text("version: 1\n"+line+"\n")), "test")
			if err == nil || !strings.Contains(err.Error(), "was set aside by a factory reset") {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	// A directory above is not refused, and what is sealed in it not exported.
	b.plug(t, map[string]string{"assaygate.yaml": b.text(baseConfig)})
	b.wantReport(t, runs)
	if list, err := spool.ListSealed(filepath.Join(b.root, "captures", "spool")); err != nil || len(list) != 1 || len(list[0].Beside) != 1 {
		t.Fatalf("sealed in the directory of captures: %+v, %v", list, err)
	}
	b.plug(t, map[string]string{"export": ""})
	b.wantReport(t, "All is well.", "export: no message")
	exported := 0
	err := filepath.WalkDir(b.stick, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		exported++
		if text, err := os.ReadFile(path); err != nil || bytes.Contains(text, []byte("PATIENT-CANARY")) {
			t.Errorf("%s holds the old owner's messages, %v", path, err)
		}
		return nil
	})
	if err != nil || exported < 3 {
		t.Errorf("%d files on the stick, %v", exported, err)
	}
}

func FuzzParseErasure(f *testing.F) {
	for _, text := range []string{"1 because", "\ufeff2 because\r\n", "\xff\xfe3\x00 \x00b\x00", "", "1", "x y", "-1 \x1b[2J", "0 \xa0"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		id, reason, err := parseErasure(data)
		if err != nil {
			return
		}
		again, same, err := parseErasure(fmt.Appendf(nil, "%d %s", id, reason))
		if again != id || same != strings.TrimSpace(same) || err != nil || len(reason) > mostReason || strings.ContainsAny(reason, "\x00\x1b\r\n") {
			t.Errorf("%q is %d %q, and that %d %q, %v", data, id, reason, again, same, err)
		}
	})
}
