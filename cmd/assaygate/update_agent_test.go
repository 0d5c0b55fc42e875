//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/image/update/agent"
	"github.com/assaygate/assaygate/image/update/rauc"
	"github.com/assaygate/assaygate/image/update/rauc/rauctest"
	"github.com/assaygate/assaygate/image/update/release"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

const updateBoard = "assaygate-raspberrypi4_64"

// releaseFiles is a signed repository, with one key for everything but the waves.
type releaseFiles struct {
	t      *testing.T
	folder string
	key    ed25519.PrivateKey
	bundle string // the file of its one bundle, from the folder
}

// newReleases is a repository with one release for the board of these tests, which
// all boxes may install by themselves where it is in waves.
func newReleases(t *testing.T, version string, waves bool) *releaseFiles {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	f := &releaseFiles{t: t, folder: t.TempDir(), key: key}
	f.must(err)
	public, err := metadata.KeyFromPublicKey(key.Public())
	f.must(err)
	id, err := public.ID()
	f.must(err)
	expires := time.Now().Add(30 * 24 * time.Hour).UTC().Truncate(time.Second)
	root := metadata.Root(expires)
	for _, role := range []string{metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP} {
		f.must(root.Signed.AddKey(public, role))
	}
	f.put("metadata/1.root.json", sealedBy(f, root))

	targets, wave := metadata.Targets(expires), metadata.Targets(expires)
	targets.Signed.Delegations = &metadata.Delegations{
		Keys:  map[string]*metadata.Key{id: public},
		Roles: []metadata.DelegatedRole{{Name: "waves", KeyIDs: []string{id}, Threshold: 1, Terminating: true, Paths: []string{"waves/*"}}},
	}
	custom, err := release.Release{Version: version, Boards: []string{updateBoard}, Notes: "Quieter."}.Custom()
	f.must(err)
	raw := json.RawMessage(custom)
	target := release.BundlePath(updateBoard, version)
	f.bundle = f.target(targets, target, []byte("the bundle of "+version), &raw)
	if waves {
		from := time.Now().Add(-72 * time.Hour)
		text, err := json.Marshal(release.Waves{Version: version, Waves: []release.Wave{{Share: 5, From: from}, {Share: 100, From: from.Add(48 * time.Hour)}}})
		f.must(err)
		f.target(wave, release.WavePath(version), text, nil)
	}
	snapshot, timestamp := metadata.Snapshot(expires), metadata.Timestamp(expires)
	snapshot.Signed.Meta = map[string]*metadata.MetaFiles{
		"targets.json": f.meta("1.targets.json", sealedBy(f, targets)),
		"waves.json":   f.meta("1.waves.json", sealedBy(f, wave)),
	}
	timestamp.Signed.Meta = map[string]*metadata.MetaFiles{"snapshot.json": f.meta("1.snapshot.json", sealedBy(f, snapshot))}
	f.put("metadata/timestamp.json", sealedBy(f, timestamp))
	return f
}

func (f *releaseFiles) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *releaseFiles) put(name string, data []byte) {
	f.t.Helper()
	file := filepath.Join(f.folder, filepath.FromSlash(name))
	f.must(os.MkdirAll(filepath.Dir(file), 0o755))
	f.must(os.WriteFile(file, data, 0o644))
}

func (f *releaseFiles) meta(name string, data []byte) *metadata.MetaFiles {
	f.put("metadata/"+name, data)
	sum := sha256.Sum256(data)
	return &metadata.MetaFiles{Version: 1, Length: int64(len(data)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

func (f *releaseFiles) target(role *metadata.Metadata[metadata.TargetsType], target string, data []byte, custom *json.RawMessage) (file string) {
	sum := sha256.Sum256(data)
	role.Signed.Targets[target] = &metadata.TargetFiles{Length: int64(len(data)), Path: target, Hashes: metadata.Hashes{"sha256": sum[:]}, Custom: custom}
	file = path.Join("targets", path.Dir(target), hex.EncodeToString(sum[:])+"."+path.Base(target))
	f.put(file, data)
	return file
}

func sealedBy[T metadata.Roles](f *releaseFiles, m *metadata.Metadata[T]) []byte {
	f.t.Helper()
	signer, err := signature.LoadSigner(f.key, crypto.Hash(0))
	f.must(err)
	_, err = m.Sign(signer)
	f.must(err)
	data, err := m.ToBytes(true)
	f.must(err)
	return data
}

// updateBox is a box on which the update agent runs, with a RAUC of its own.
type updateBox struct {
	t    *testing.T
	root string
	bus  *rauctest.Bus
	rauc *rauctest.RAUC
	stop func()
}

func newUpdateBox(t *testing.T) *updateBox {
	t.Helper()
	b := &updateBox{t: t, root: t.TempDir(), bus: rauctest.NewBus(t)}
	b.rauc = b.bus.NewRAUC(t, updateBoard)
	b.put("etc/rauc/system.conf", "[system]\ncompatible="+updateBoard+"\n")
	b.put("data/system/good-slots.json", `{"A": "1.0.0 b1 `+commit+`"}`)
	b.put("run/assaygate-apply/update/settings.json", "{}")
	b.boots("one", "A", "1.0.0")
	return b
}

// boots makes another start of the box of it.
func (b *updateBox) boots(boot, slot, version string) {
	b.t.Helper()
	b.put("proc/sys/kernel/random/boot_id", boot+"\n")
	b.put("proc/cmdline", "console=ttyS0 rauc.slot="+slot+"\n")
	b.put("usr/lib/os-release", "VERSION_ID="+version+"\nBUILD_ID=b1\n")
}

func (b *updateBox) put(name, text string) {
	b.t.Helper()
	file := filepath.Join(b.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *updateBox) has(name string) bool {
	_, err := os.Stat(filepath.Join(b.root, name))
	return err == nil
}

// trusts puts the root of a repository into the image.
func (b *updateBox) trusts(f *releaseFiles) {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(f.folder, "metadata/1.root.json"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.put("usr/share/assaygate/update/root.json", string(text))
}

// runs starts the agent, which ends with the test, or by stop.
func (b *updateBox) runs() {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Join(b.root, "data/system/update"), 0o755); err != nil {
		b.t.Fatal(err)
	}
	log := newLog(LogSettings{Level: "debug"}, b.t.Output())
	u := &updater{
		places: updatePlaces{b.root}, log: log, changed: make(chan struct{}, 1), reports: sync.NewCond(&sync.Mutex{}),
		clock: newClock(board.System{}, log), rauc: &rauc.Client{Address: b.bus.Address}, lookEvery: 20 * time.Millisecond,
	}
	u.clock.known = true
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- u.run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Error(err)
		}
		os.Remove(updatePlaces{b.root}.status()) // as systemd does with the directory
	})
	b.t.Cleanup(b.stop)
	b.eventually("the agent is there", func() bool { return b.has("run/assaygate-update/status.json") })
}

func (b *updateBox) eventually(what string, is func() bool) {
	b.t.Helper()
	eventually(b.t, what, is)
}

// command runs a command of updates on the box.
func (b *updateBox) command(words ...string) (status int, said string) {
	b.t.Helper()
	var out bytes.Buffer
	status = execute(append([]string{"update"}, append(words, "--root", b.root)...), &out, &out)
	return status, out.String()
}

func (b *updateBox) says(want ...string) {
	b.t.Helper()
	status, said := b.command("status")
	for _, one := range want {
		if status != 0 || !strings.Contains(said, one) {
			b.t.Errorf("exit %d, and not %q:\n%s", status, one, said)
		}
	}
}

// A release comes over HTTPS by a proxy, waits for an analyser, is installed and
// tried; its outcome is known once it was judged, and not before.
func TestUpdateComesOverTheNetwork(t *testing.T) {
	t.Parallel()
	f := newReleases(t, "2.0.0", true)
	server := httptest.NewTLSServer(http.FileServer(http.Dir(f.folder)))
	t.Cleanup(server.Close)
	proxied := make(chan string, 1000)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxied <- r.Host
		through(w, r)
	}))
	t.Cleanup(proxy.Close)
	b := newUpdateBox(t)
	b.trusts(f)
	busy := b.gateway()
	busy.sessions.Store(1)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	settings, err := json.Marshal(updateOrders{Repository: server.URL, Proxy: proxy.URL, CA: string(authority), Rate: 1 << 20})
	f.must(err)
	b.runs()
	b.says("no repository is configured")
	b.put("run/assaygate-apply/update/settings.json", string(settings))
	b.eventually("the new settings are in use", func() bool {
		_, said := b.command("status", "--json")
		return strings.Contains(said, `"repository": "`+server.URL)
	})
	bundle := filepath.Join(b.root, "data/system/update/bundles", hashOf(f)+".raucb")
	b.rauc.Put(bundle, rauctest.Bundle{Compatible: updateBoard, Version: "2.0.0"})
	status, said := b.command("check")
	if status != 0 || !strings.Contains(said, "2.0.0") {
		t.Fatalf("exit %d: %s", status, said)
	}
	b.eventually("it waits for the analyser", func() bool {
		_, said := b.command("status")
		return strings.Contains(said, "waits until no analyser transmits")
	})
	if len(proxied) == 0 {
		t.Error("the proxy was not asked")
	}
	if b.has("run/assaygate-update/reboot") {
		t.Fatal("the box was interrupted")
	}
	busy.sessions.Store(0)
	if status, said := b.command("check"); status != 0 {
		t.Fatal(said)
	}
	b.eventually("the box is asked to start anew", func() bool { return b.has("run/assaygate-update/reboot") })
	if slot, first := b.rauc.Slot("B"); slot.Version != "2.0.0" || !first {
		t.Errorf("slot B: %+v, first: %v", slot, first)
	}
	if b.has("data/system/update/outcome.json") {
		t.Error("an outcome is there before the verdict")
	}
	b.stop()

	// The box falls back: the judge has left the reason.
	b.boots("two", "A", "1.0.0")
	b.put("data/system/update/verdict.json", `{"slot": "B", "version": "2.0.0", "good": false, "reason": "the store does not open"}`)
	b.runs()
	b.eventually("the fall-back is known", func() bool { return b.has("data/system/update/outcome.json") })
	b.eventually("it is told", func() bool {
		_, said := b.command("status")
		return strings.Contains(said, "version 2.0.0 was tried, and the box went back to 1.0.0") && strings.Contains(said, "the store does not open")
	})
	if _, said = b.command("check"); !strings.Contains(said, "not installed again") {
		t.Errorf("the refused version is offered again:\n%s", said)
	}
}

// through carries a CONNECT on.
func through(w http.ResponseWriter, r *http.Request) {
	there, err := net.Dial("tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		there.Close()
		return
	}
	copyBoth(here, there)
}

func copyBoth(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			buffer := make([]byte, 4096)
			for {
				n, err := way[0].Read(buffer)
				if n > 0 {
					_, _ = way[1].Write(buffer[:n])
				}
				if err != nil {
					way[1].Close()
					return
				}
			}
		})
	}
	both.Wait()
}

func hashOf(f *releaseFiles) string {
	hash, _, _ := strings.Cut(path.Base(f.bundle), ".")
	return hash
}

// gateway is the socket of a gateway that says how busy it is.
func (b *updateBox) gateway() *activity {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Join(b.root, "run/assaygate-activity"), 0o755); err != nil {
		b.t.Fatal(err)
	}
	d := newDaemon(Config{}, newLog(LogSettings{}, b.t.Output()))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	d.serveActivity(ctx, &running, updatePlaces{b.root}.activity())
	b.t.Cleanup(func() { cancel(); running.Wait() })
	return &d.metrics.now
}

// A stick needs neither network nor waves; what it brings is found by itself, and a
// downgrade or another fleet's is refused.
func TestUpdateComesByStick(t *testing.T) {
	t.Parallel()
	f, foreign := newReleases(t, "1.1.0", false), newReleases(t, "9.0.0", false)
	b := newUpdateBox(t)
	b.trusts(f)
	b.runs()
	stick := filepath.Join(b.root, "run/assaygate-stick")
	if err := os.CopyFS(stick, os.DirFS(foreign.folder)); err != nil {
		t.Fatal(err)
	}
	if _, said := b.command("check"); strings.Contains(said, "9.0.0") || !strings.Contains(said, "From stick") {
		t.Errorf("another fleet's stick:\n%s", said)
	}
	if err := os.RemoveAll(stick); err != nil {
		t.Fatal(err)
	}
	b.rauc.Put(filepath.Join(b.root, "data/system/update/bundles", hashOf(f)+".raucb"), rauctest.Bundle{Compatible: updateBoard, Version: "1.1.0"})
	if err := os.CopyFS(stick, os.DirFS(f.folder)); err != nil {
		t.Fatal(err)
	}
	if status, said := b.command("check"); status != 0 {
		t.Fatal(said)
	}
	b.eventually("the box is asked to start anew", func() bool { return b.has("run/assaygate-update/reboot") })
}

// The agent's questions after a slot are answered from what the judge of slots keeps.
func TestUpdateKnowsTheVerdicts(t *testing.T) {
	t.Parallel()
	b := &updateBox{t: t, root: t.TempDir()}
	b.boots("one", "B", "2.0.0")
	b.put("data/system/good-slots.json", `{"A": "1.0.0 b1 `+commit+`", "B": "1.9.0 b1 `+commit+`"}`)
	b.put("data/system/update/verdict.json", `{"slot": "A", "version": "1.0.0", "good": false}`)
	v := verdicts{agent.Directory(filepath.Join(b.root, "data/system/update")), updatePlaces{b.root}}
	read := func(slot string) string {
		text, err := v.Read("verdict-" + slot + ".json")
		if err != nil {
			return "-"
		}
		return string(text)
	}
	if a, other := read("A"), read("B"); !strings.Contains(a, `"good": false`) || other != "-" {
		t.Errorf("A: %s, B: %s", a, other)
	}
	b.put("data/system/good-slots.json", `{"B": "2.0.0 b1 `+commit+`"}`)
	if text := read("B"); !strings.Contains(text, `"good":true`) || !strings.Contains(text, "2.0.0") {
		t.Errorf("an image that was good before: %s", text)
	}
	if err := v.Remove("verdict-B.json"); err != nil || read("A") == "-" {
		t.Errorf("%v, or the verdict on the other slot is gone", err)
	}
	if err := v.Remove("verdict-A.json"); err != nil || read("A") != "-" {
		t.Errorf("%v, or it is still there", err)
	}
}

// A person names a folder. What was refused once is installed again where he says so.
func TestUpdateInstallFromAFolder(t *testing.T) {
	t.Parallel()
	f := newReleases(t, "1.1.0", false)
	b := newUpdateBox(t)
	b.trusts(f)
	bundle := filepath.Join(f.folder, filepath.FromSlash(f.bundle))
	if status, said := b.command("install", bundle); status != failed || !strings.Contains(said, "does not run") {
		t.Errorf("without an agent: exit %d: %s", status, said)
	}
	b.put("data/system/update/refused.json", fmt.Sprintf(`{%q: {"version": "1.1.0", "reason": "no store", "at": "2026-01-02T03:04:05Z"}}`, hashOf(f)))
	b.runs()
	b.rauc.Put(filepath.Join(b.root, "data/system/update/bundles", hashOf(f)+".raucb"), rauctest.Bundle{Compatible: updateBoard, Version: "1.1.0"})
	for _, wrong := range []string{t.TempDir(), filepath.Join(f.folder, "metadata/1.root.json")} {
		if status, said := b.command("install", wrong); status == 0 || !strings.Contains(said, "signed metadata") || strings.HasSuffix(strings.TrimSpace(said), ";") {
			t.Errorf("%s: exit %d: %s", wrong, status, said)
		}
	}
	status, said := b.command("install", bundle)
	if status != 0 || !strings.Contains(said, "not installed again, since on 2026-01-02: no store") {
		t.Errorf("exit %d: %s", status, said)
	}
	if status, said := b.command("install", f.folder, "--again"); status != 0 {
		t.Errorf("exit %d: %s", status, said)
	}
	b.eventually("the box is asked to start anew", func() bool { return b.has("run/assaygate-update/reboot") })
}

// Whoever has a folder offered is told how it stands with the network too, which is asked.
func TestUpdateInstallAsksTheNetworkToo(t *testing.T) {
	t.Parallel()
	f := newReleases(t, "1.1.0", false)
	b := newUpdateBox(t)
	b.trusts(f)
	asked := make(chan struct{}, 64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(server.Close)
	b.put("run/assaygate-apply/update/settings.json", fmt.Sprintf(`{"repository": %q}`, server.URL))
	b.put("data/system/update/refused.json", fmt.Sprintf(`{%q: {"version": "1.1.0", "reason": "no store", "at": "2026-01-02T03:04:05Z"}}`, hashOf(f)))
	b.put("data/system/update/draw", "99.9\n")
	b.runs()
	status, said := b.command("install", f.folder)
	if status != 0 || strings.Contains(said, "not asked yet") || !strings.Contains(said, "From "+server.URL+" does not answer as it should") || len(asked) == 0 {
		t.Errorf("exit %d, asked %d times: %s", status, len(asked), said)
	}
}

// Without a root nothing can be verified, and that is said; so is where it cannot
// be read, though the image has another one.
func TestUpdateWithoutARoot(t *testing.T) {
	t.Parallel()
	b := newUpdateBox(t)
	b.runs()
	b.says("Updates      off: this image was made without a root of trust")
	if status, said := b.command("check"); status != failed || !strings.Contains(said, "UPDATE_ROOT") {
		t.Errorf("exit %d: %s", status, said)
	}
	b.stop()
	b.trusts(newReleases(t, "1.1.0", false))
	b.runs()
	if _, said := b.command("status"); strings.Contains(said, "off:") {
		t.Error(said)
	}
	b.stop()
	if err := os.Mkdir(filepath.Join(b.root, "data/system/update-root.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.runs()
	b.says("off: the root of trust of this box cannot be read")
}

// A host that is no box has no updates, and says what to do.
func TestUpdateStatusOfOtherHosts(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{{"status"}, {"check"}, {"install", t.TempDir()}, {"confirm"}} {
		var out bytes.Buffer
		words = append(append([]string{"update"}, words...), "--root", t.TempDir())
		if status := execute(words, &out, &out); status != failed || !strings.Contains(out.String(), "not the box") {
			t.Errorf("%q: exit %d: %s", words, status, out.String())
		}
	}
}

// A person's word marks the slot, for RAUC and for the starts that come.
func TestUpdateConfirm(t *testing.T) {
	b := newUpdateBox(t)
	b.boots("one", "A", "2.0.0")
	b.put("data/system/update/other", "")
	b.put("bin/systemctl", "#!/bin/sh\necho \"$*\" >'"+b.root+"/called'\n")
	if err := os.Chmod(filepath.Join(b.root, "bin/systemctl"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Join(b.root, "bin")+":"+os.Getenv("PATH"))
	status, said := b.command("confirm", "--bus", b.bus.Address)
	if status != 0 || said != "slot A with version 2.0.0 is good\n" {
		t.Fatalf("exit %d: %s", status, said)
	}
	called, _ := os.ReadFile(filepath.Join(b.root, "called"))
	if string(called) != "--no-block try-restart assaygate-slot.service\n" {
		t.Errorf("called: %s", called)
	}
	if !(verdicts{places: updatePlaces{b.root}}).proven(updatePlaces{b.root}.started()) {
		t.Error("that is not remembered")
	}
	if _, err := os.Stat(filepath.Join(b.root, "data/system/update/verdict.json")); err != nil {
		t.Error(err)
	}
	b.put("proc/cmdline", "console=ttyS0\n")
	if status, said := b.command("confirm", "--bus", b.bus.Address); status != failed || !strings.Contains(said, "not started from a slot") {
		t.Errorf("exit %d: %s", status, said)
	}
}

// A release that is held, and goes on, has RAUC change which slot is next and nothing
// else.
func TestUpdateHasASlotStartedNext(t *testing.T) {
	b := newUpdateBox(t)
	slots := installer{&rauc.Client{Address: b.bus.Address}}
	for _, running := range []bool{false, true} {
		if err := slots.StartNext(t.Context(), running); err != nil {
			t.Fatal(err)
		}
		a, first := b.rauc.Slot("A")
		other, _ := b.rauc.Slot("B")
		if first != running || !a.Good || !other.Good {
			t.Errorf("the running slot is %+v and the first: %v, the other is %+v", a, first, other)
		}
	}
}

// The request goes before the box does, and without one nothing happens.
func TestUpdateReboot(t *testing.T) {
	b := &updateBox{t: t, root: t.TempDir()}
	b.put("bin/systemctl", "#!/bin/sh\ntest ! -e '"+b.root+"/run/assaygate-update/reboot' && echo \"$*\" >>'"+b.root+"/called'\n")
	if err := os.Chmod(filepath.Join(b.root, "bin/systemctl"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Join(b.root, "bin")+":"+os.Getenv("PATH"))
	if status, said := b.command("reboot"); status != 0 || b.has("called") {
		t.Errorf("without a request: exit %d: %s", status, said)
	}
	b.put("run/assaygate-update/reboot", "")
	if status, said := b.command("reboot"); status != 0 {
		t.Errorf("exit %d: %s", status, said)
	}
	called, _ := os.ReadFile(filepath.Join(b.root, "called"))
	if string(called) != "--no-block reboot\n" {
		t.Errorf("called: %q", called)
	}
}
