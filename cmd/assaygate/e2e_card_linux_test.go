package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// speak sends what an instrument sends, unit by unit, and returns the first answer
// that is not ACK, else the last; "" where the line is closed or silent.
func speak(address string, units ...[]byte) string {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return ""
	}
	defer conn.Close()
	answer := make([]byte, 4<<10)
	n := 0
	for _, unit := range units {
		_ = conn.SetDeadline(time.Now().Add(patience)) // a dead line shows at the write
		if _, err := conn.Write(unit); err != nil {
			return ""
		}
		if unit[0] == lis01.EOT {
			continue
		}
		if n, err = conn.Read(answer); err != nil {
			return ""
		}
		if answer[0] != lis01.ACK {
			break
		}
	}
	return string(answer[:n])
}

// cardLines are the lines that a full card is tried with: what each is answered
// with when a message was stored, and when not.
var cardLines = []struct {
	name, line, stored, refused string
	send                        func(address, id string) string
}{
	{"astm", "astm: {listen: %q}", "\x06", "\x15", func(address, id string) string {
		return speak(address, []byte{lis01.ENQ}, oneFrame(astmText("ASTM", id, id)), []byte{lis01.EOT})
	}},
	{"eot", "astm: {listen: %q}, quirks: {end: eot}", "\x06", "\x15", func(address, id string) string {
		text, _, _ := strings.Cut(astmText("EOT", id, id), "L|1")
		return speak(address, []byte{lis01.ENQ}, oneFrame(text), []byte{lis01.EOT})
	}},
	{"hl7", "hl7: {listen: %q}", "AA", "AE", func(address, id string) string {
		m, err := hl7.Parse([]byte(strings.Trim(speak(address, mllp.AppendBlock(nil, []byte(hl7Text("HL7", id, id)))), "\v\x1c\r")))
		if err != nil {
			return ""
		}
		return string(m.First("MSA").Field(1))
	}},
	{"emerald", "emerald: {listen: %q}", "stored", "refused", playTo(simulator.Vendor, "celldyn_emerald.bin")},
	{"packets", "astm: {listen: %q}, profile: biomerieux_mini_vidas", "sent", "", playTo(simulator.ASTM, "mini_vidas.bin")},
}

// playTo plays a capture once.
func playTo(protocol simulator.Protocol, capture string) func(address, id string) string {
	return func(address, _ string) string {
		data, err := simulator.Capture(capture)
		if err != nil {
			return err.Error()
		}
		messages, err := simulator.Read(data)
		if err != nil {
			return err.Error()
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		result, err := simulator.Run(ctx, simulator.Target{Protocol: protocol, Address: address}, messages, simulator.Options{Count: 1})
		switch {
		case err != nil:
			return err.Error()
		case len(result.Acknowledged) > 0:
			return "stored"
		case len(result.Sent) > 0:
			return "sent"
		}
		return "refused"
	}
}

// TestFullCard fills the card under a gateway. What it cannot keep it refuses, in
// every language, and what it has acknowledged is there. When there is room again
// it takes messages by itself.
func TestFullCard(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	card := memory(t, 6<<20)
	var instruments strings.Builder
	for n, l := range cardLines {
		fmt.Fprintf(&instruments, "  - {name: %s, %s}\n", l.name, fmt.Sprintf(l.line, fmt.Sprintf("127.0.0.%d:0", n+2)))
	}
	server := newLIMS(t)
	files := strings.Replace(lims(server, card), "capture: {", "capture: {wire: true, ", 1)
	r := start(t, base(card)+"instruments:\n"+instruments.String()+files)
	var promised ledger
	send := func(n, try int) string {
		l := cardLines[n]
		id := fmt.Sprintf("%s-%d", l.name, try)
		answer := l.send(r.addresses[l.name], id)
		if answer == l.stored && n < 3 {
			promised.add(id)
		}
		return answer
	}
	for n, l := range cardLines {
		if answer := send(n, 0); answer != l.stored {
			t.Fatalf("%s: with room, %q", l.name, answer)
		}
	}
	r.settled()

	empty := fill(t, card)
	for try := 1; ; try++ { // the WAL may have room left in it
		if try > 300 {
			t.Fatal("a full card has taken 300 messages of each line")
		}
		refused := 0
		for n, l := range cardLines[:4] {
			switch answer := send(n, try); answer {
			case l.refused:
				refused++
			case l.stored:
			default:
				t.Fatalf("%s: on a full card, %q", l.name, answer)
			}
		}
		if refused == 4 {
			break
		}
	}
	if answer := send(4, 1); answer != "sent" {
		t.Errorf("packets on a full card: %q", answer)
	}
	r.wantAlive()
	status, reason := r.answer("/readyz")
	if room := r.store.Room(); (room != nil) != (status != http.StatusOK) {
		t.Errorf("the store says %v, /readyz %d %s", room, status, reason)
	}
	r.wantMetrics(fmt.Sprint("assaygate_store_failed ", oneIf(status != http.StatusOK)), "assaygate_store_read_only 0")

	empty()
	for n, l := range cardLines {
		try := 1000
		eventually(t, l.name+" is taken again", func() bool { try++; return send(n, try) == l.stored })
	}
	eventually(t, "the gateway is ready again", func() bool { status, _ := r.answer("/readyz"); return status == http.StatusOK })
	r.settled()
	if lost := missing(t, promised.all(), server.Pushes()); len(lost) > 0 {
		t.Errorf("acknowledged and not delivered: %q", lost)
	}
	for _, kind := range []string{"*.hl7", "*.wire"} {
		if found, err := filepath.Glob(filepath.Join(card, "captures", kind)); err != nil || len(found) == 0 {
			t.Errorf("no files %s (%v)", kind, err)
		}
	}
	if n := strings.Count(r.log.text(), "gateway ready"); n != 1 {
		t.Errorf("the store was opened %d times for want of room", n)
	}
}

// TestBrokenCard has the file system of the card stop itself, as ext4 does over an
// error, and puts it right again: unmounted, checked, mounted. The process lives
// through it, with instruments that send all the time but for the moment of the
// error, and goes on by itself. In that moment no commit is in progress: in one of
// ten or so that are, Linux 6.18 says of a sync that it has succeeded when ext4 has
// just given up the transaction that it was for (a bare write and fdatasync show
// the same), and no program can know better.
func TestBrokenCard(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	card := newExt4(t, memory(t, 40<<20))
	server := newLIMS(t)
	hl7Address, astmAddress := freePort(t), freePort(t)
	r := start(t, base(card.at)+fmt.Sprintf("instruments: [{name: hl7, hl7: {listen: %q}}, {name: lan, astm: {listen: %q}}]", hl7Address, astmAddress)+lims(server, card.at))
	device := r.card().Device
	r.wantMetrics("assaygate_store_failed 0", "assaygate_store_read_only 0", "assaygate_card_errors_total 0")

	r.explain()
	var promised ledger
	var stopped atomic.Bool
	var senders sync.WaitGroup
	send := func(when string) {
		stopped.Store(false)
		for n := range 2 {
			senders.Go(func() { sendUntil(&stopped, &promised, hl7Address, fmt.Sprint("HL7-", when, n), true) })
			senders.Go(func() { sendUntil(&stopped, &promised, astmAddress, fmt.Sprint("ASTM-", when, n), false) })
		}
	}
	send("before")
	defer senders.Wait()
	defer stopped.Store(true)
	eventually(t, "messages are acknowledged", func() bool { return len(promised.all()) > 20 })
	stopped.Store(true)
	senders.Wait()
	r.settled()

	card.breaks(device)
	before := len(promised.all())
	send("after")
	eventually(t, "the store is closed", func() bool { g, _ := r.standing.now(); return g == nil })
	acknowledged := len(promised.all())
	if acknowledged != before {
		t.Errorf("%d messages were acknowledged on a read-only file system", acknowledged-before)
	}
	r.wantAlive()
	if status, body := r.answer("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "nothing is acknowledged") {
		t.Errorf("/readyz says %d %s", status, body)
	}
	r.wantMetrics("assaygate_store_failed 1", "assaygate_store_read_only 1")
	if _, body := r.answer("/metrics"); !regexp.MustCompile(`(?m)^assaygate_card_errors_total [1-9]`).MatchString(body) {
		t.Error("no error of the card is counted")
	}
	if _, body := r.answer("/metrics"); strings.Contains(body, "assaygate_pending{") {
		t.Error("a closed store is said to have pending messages")
	}
	// The console goes on, and says what is wrong.
	if page := string((seen{}).fetch(t, http.DefaultClient, "", "http://"+r.addresses[consoleServer])); !strings.Contains(page, "There is no store") {
		t.Errorf("the console shows\n%s", page)
	}
	nothing := func() error { return nil }
	if err := r.Reopen(t.Context(), nothing); spool.FaultOf(err) != spool.CardReadOnly {
		t.Errorf("opened on a read-only file system: %v", err)
	}
	card.repair()
	if err := r.Reopen(t.Context(), nothing); !errors.Is(err, errGone) {
		t.Errorf("opened where nothing is mounted: %v", err)
	}
	if entries, err := os.ReadDir(card.at); err != nil || len(entries) > 0 {
		t.Errorf("where the card was mounted there are %v, %v", entries, err)
	}
	r.wantAlive()
	if n := len(promised.all()); n != acknowledged {
		t.Errorf("%d messages were acknowledged without a store", n-acknowledged)
	}
	if err := card.mount(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "messages are acknowledged again", func() bool { return len(promised.all()) > acknowledged+20 })
	if status, body := r.answer("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz says %d %s", status, body)
	}
	r.wantMetrics("assaygate_store_failed 0", "assaygate_store_read_only 0")
	stopped.Store(true)
	senders.Wait()
	opened, _ := r.standing.now()
	r.store = opened.store
	r.settled()
	if lost := missing(t, promised.all(), server.Pushes()); len(lost) > 0 {
		t.Errorf("acknowledged and not delivered, of %d: %q", len(promised.all()), lost)
	}
	for what, times := range map[string]int{"the file system is read-only: nothing": 1, "the store is open again": 1} {
		if n := strings.Count(r.log.text(), what); n > times {
			t.Errorf("the log says %d times %q", n, what)
		}
	}
	r.end()
	wantSound(t, filepath.Join(card.at, "spool"))
}

// TestCardThatLosesWrites has writes fail beneath the file system, so that the
// kernel holds for written what is not. What the gateway acknowledges after that
// must be on the card: a copy of the card, taken without the kernel's memory of
// it, has it all.
func TestCardThatLosesWrites(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	card := newExt4(t, memory(t, 24<<20))
	server := newLIMS(t)
	address := freePort(t)
	r := start(t, base(card.at)+fmt.Sprintf("instruments: [{name: hl7, hl7: {listen: %q}}]", address)+lims(server, t.TempDir()))
	r.explain()
	var promised ledger
	var stopped atomic.Bool
	var senders sync.WaitGroup
	for n := range 4 {
		senders.Go(func() { sendUntil(&stopped, &promised, address, fmt.Sprint("HL7-", n), true) })
	}
	defer senders.Wait()
	defer stopped.Store(true)
	eventually(t, "messages are acknowledged", func() bool { return len(promised.all()) > 20 })
	empty := card.losesNewData()
	eventually(t, "the store has failed", func() bool { return strings.Contains(r.log.text(), "the store is closed: nothing is acknowledged") })
	r.wantAlive()
	empty()
	before := len(promised.all())
	eventually(t, "messages are acknowledged again", func() bool { return len(promised.all()) > before+20 })
	stopped.Store(true)
	senders.Wait()
	acknowledged := promised.all()

	image, err := os.ReadFile(card.image)
	if err != nil {
		t.Fatal(err)
	}
	cut := &ext4{t: t, image: filepath.Join(memory(t, 40<<20), "card"), at: t.TempDir()}
	if err := os.WriteFile(cut.image, bytes.Clone(image), 0o600); err != nil {
		t.Fatal(err)
	}
	cut.check()
	if err := cut.mount(); err != nil {
		t.Fatal(err)
	}
	defer cut.repair()
	settings := r.config().Spool
	settings.Directory = filepath.Join(cut.at, "spool")
	store, err := spool.Open(t.Context(), settings, spool.Options{Destinations: r.config().spoolDestinations()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, id := range acknowledged {
		if found, err := store.List(t.Context(), spool.Filter{SampleID: id, Limit: 1}); err != nil || len(found) == 0 {
			t.Fatalf("%s was acknowledged and is not on the card (%v)", id, err)
		}
	}
	t.Logf("%d acknowledged, %d of them after the failure", len(acknowledged), len(acknowledged)-before)
}
