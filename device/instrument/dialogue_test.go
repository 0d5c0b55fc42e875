package instrument

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/assaygate/assaygate/protocols/lis01"
)

// A dialogue is a text file: what a peer sends, what it gets, and what is kept.
// TestDialogues walks testdata/dialogues; the folder names the protocol of the
// line, mllp or astm.
//
//	# a comment
//	quirks: {checksum: ignore}     settings of the instrument, as YAML; ack: and
//	ack: original                  limits: too; all up to ---, may be left out
//	---
//	> <ENQ>                        the peer sends this, in one write
//	< <ACK>                        and gets exactly this
//	> <STX>1H|\^&<CR>              a write goes on in lines that are set in
//	  L|1<CR><ETX><SUM><CR><LF>
//	...15s                         time passes; ...quiet is quietTime
//	hang up                        the peer closes the line
//	closed                         the box has closed it
//	store fails                    from here on nothing can be stored
//	kept accepted 1H|\^&<CR>..     what is in the store now, one line each
//	kept nothing
//
// Every reply must be asked for: where bytes are left that no < line takes, the
// dialogue has failed. So a > line without a < line below it says that the box
// is silent, and ... between them that it answers no sooner.
//
// Bytes are written by name, <ENQ> or <CR>, or as <x1F>; <A*300> is the byte A
// 300 times, as in <x00*14>, and <LT> is the character <. Blanks at the end of a
// line do not count, <SP> does. Three more have a meaning of their own:
//
//	<SUM>   the checksum of the frame; in a reply, any
//	<TIME>  in a reply, the time of it (MSH-7, H-14)
//	<ID>    in a reply, any control ID; in what the peer sends, the last one that it got
type dialogue struct {
	settings Settings
	steps    []step
}

// step is one line of a dialogue.
type step struct {
	line int
	verb string // >, <, ..., or the word of the line
	text string // what stands behind it
	wait time.Duration
}

// quietTime is the pause that is longer than the receivers wait for the last
// bytes of a frame or block, and shorter than any timer of a standard.
const quietTime = 2 * time.Second

// controls are the bytes that a dialogue writes by name.
var controls = map[string]byte{
	"NUL": 0x00, "SOH": 0x01, "STX": 0x02, "ETX": 0x03, "EOT": 0x04, "ENQ": 0x05, "ACK": 0x06, "TAB": 0x09, "LF": 0x0A, "VT": 0x0B,
	"FF": 0x0C, "CR": 0x0D, "DLE": 0x10, "XON": 0x11, "XOFF": 0x13, "NAK": 0x15, "SYN": 0x16, "ETB": 0x17, "ESC": 0x1B, "FS": 0x1C,
	"GS": 0x1D, "RS": 0x1E, "US": 0x1F, "SP": 0x20, "LT": '<', "DEL": 0x7F,
}

// readDialogue takes a file apart.
func readDialogue(text, protocol string) (d dialogue, err error) {
	d.settings = Defaults()
	d.settings.Protocol = protocol
	head, body, headed := strings.Cut("\n"+text, "\n---\n")
	first := strings.Count(head, "\n") + 1
	if !headed {
		head, body, first = "", text, 1
	}
	own := struct {
		*Settings `yaml:",inline"`
		Ack       *string `yaml:"ack"`
	}{&d.settings, &d.settings.Ack}
	decoder := yaml.NewDecoder(strings.NewReader(head))
	decoder.KnownFields(true)
	if err := decoder.Decode(&own); err != nil && !errors.Is(err, io.EOF) {
		return d, fmt.Errorf("settings: %w", err)
	}
	for i, line := range strings.Split(body, "\n") {
		line = strings.TrimRight(line, " \t\r")
		at := first + i
		more := strings.TrimLeft(line, " \t")
		switch {
		case line == "" || line[0] == '#':
		case more != line:
			if len(d.steps) == 0 {
				return d, fmt.Errorf("line %d: a line that is set in goes on with nothing", at)
			}
			d.steps[len(d.steps)-1].text += more
		case strings.HasPrefix(line, "..."):
			s := step{line: at, verb: "...", wait: quietTime}
			if rest := line[3:]; rest != "quiet" {
				if s.wait, err = time.ParseDuration(rest); err != nil {
					return d, fmt.Errorf("line %d: %w", at, err)
				}
			}
			d.steps = append(d.steps, s)
		default:
			verb, rest, _ := strings.Cut(line, " ")
			d.steps = append(d.steps, step{line: at, verb: verb, text: rest})
		}
	}
	return d, nil
}

// part is a piece of a dialogue's bytes: some bytes, or a mask of that name.
type part struct {
	bytes []byte
	mask  string
}

var named = regexp.MustCompile(`<([^<>]+)>`)

// spelled reads bytes as a dialogue writes them.
func spelled(text string) (parts []part, err error) {
	add := func(b ...byte) {
		if n := len(parts); n > 0 && parts[n-1].mask == "" {
			parts[n-1].bytes = append(parts[n-1].bytes, b...)
			return
		}
		parts = append(parts, part{bytes: slices.Clone(b)})
	}
	for text != "" {
		at := named.FindStringSubmatchIndex(text)
		if at == nil {
			add([]byte(text)...)
			break
		}
		if at[0] > 0 {
			add([]byte(text[:at[0]])...)
		}
		name := text[at[2]:at[3]]
		text = text[at[1]:]
		if name == "SUM" || name == "TIME" || name == "ID" {
			parts = append(parts, part{mask: name})
			continue
		}
		one, count, repeated := strings.Cut(name, "*")
		n := 1
		if repeated {
			if n, err = strconv.Atoi(count); err != nil {
				return nil, fmt.Errorf("<%s>: %w", name, err)
			}
		}
		c, known := controls[one]
		switch {
		case known:
		case len(one) == 3 && one[0] == 'x':
			b, err := strconv.ParseUint(one[1:], 16, 8)
			if err != nil {
				return nil, fmt.Errorf("<%s>: %w", name, err)
			}
			c = byte(b)
		case len(one) == 1 && repeated:
			c = one[0]
		default:
			return nil, fmt.Errorf("<%s> is no byte; write < as <LT>", name)
		}
		add(bytes.Repeat([]byte{c}, n)...)
	}
	return parts, nil
}

// maskLength is how many bytes at the start of data a mask covers.
func maskLength(mask string, data []byte) int {
	of, most := "0123456789ABCDEF", 2
	switch mask {
	case "TIME":
		of, most = "0123456789+-", len(data)
	case "ID":
		of, most = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", len(data)
	}
	n := 0
	for n < len(data) && n < most && strings.IndexByte(of, data[n]) >= 0 {
		n++
	}
	return n
}

// spell writes bytes as a dialogue does.
func spell(data []byte) string {
	var out strings.Builder
	for _, c := range data {
		name := ""
		for n, b := range controls {
			if b == c && c != ' ' {
				name = n
			}
		}
		switch {
		case name != "":
			out.WriteString("<" + name + ">")
		case c < ' ' || c > '~':
			fmt.Fprintf(&out, "<x%02X>", c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// peer is the instrument's end of a line in a bubble of synctest. It reads all
// the time, as the other end waits for that.
type peer struct {
	conn net.Conn
	mu   sync.Mutex
	got  []byte
	id   string // the last control ID it got
}

func (p *peer) read() {
	in := make([]byte, 4<<10)
	for {
		n, err := p.conn.Read(in)
		p.mu.Lock()
		p.got = append(p.got, in[:n]...)
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// left is what came and was not asked for yet.
func (p *peer) left() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

// send writes what a dialogue says, with checksums and control IDs filled in.
func (p *peer) send(text string) error {
	parts, err := spelled(text)
	if err != nil {
		return err
	}
	var out []byte
	for _, part := range parts {
		switch part.mask {
		case "":
			out = append(out, part.bytes...)
		case "SUM":
			start := bytes.LastIndexByte(out, lis01.STX) + 1
			var sum byte
			for _, c := range out[start:] {
				sum += c
			}
			out = fmt.Appendf(out, "%02X", sum)
		case "ID":
			out = append(out, p.id...)
		default:
			return fmt.Errorf("<%s> has no meaning in what the peer sends", part.mask)
		}
	}
	_, err = p.conn.Write(out)
	return err
}

// expect takes what a dialogue says from what came.
func (p *peer) expect(text string) error {
	parts, err := spelled(text)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := p.got
	for _, part := range parts {
		n := len(part.bytes)
		if part.mask != "" {
			n = maskLength(part.mask, rest)
		}
		if part.mask == "" && !bytes.HasPrefix(rest, part.bytes) || part.mask != "" && n == 0 {
			return fmt.Errorf("got  %s\nwant %s", spell(p.got), text)
		}
		if part.mask == "ID" {
			p.id = string(rest[:n])
		}
		rest = rest[n:]
	}
	p.got = rest
	return nil
}

// hold plays a dialogue against a line.
func (d dialogue) hold(t *testing.T) {
	b := newPipedBench(t, d.settings)
	p := &peer{conn: b.line}
	go p.read()
	synctest.Wait()
	var kept []string // what the kept lines before this one asked for
	for i, s := range d.steps {
		fail := func(err error) { t.Fatalf("line %d: %s %s: %v", s.line, s.verb, s.text, err) }
		if left := p.left(); s.verb != "<" && len(left) > 0 {
			fail(fmt.Errorf("before it there came, unasked, %s", spell(left)))
		}
		var err error
		switch s.verb + " " + s.text {
		case "hang up":
			b.hangUp()
		case "store fails":
			err = b.store.Close()
		case "closed ":
			select {
			case end := <-b.ended:
				b.ended <- end
			default:
				err = errors.New("the line is still open")
			}
		default:
			switch s.verb {
			case ">":
				err = p.send(s.text)
			case "<":
				err = p.expect(s.text)
			case "...":
				time.Sleep(s.wait)
			case "kept":
				if s.text != "nothing" {
					parts, wrong := spelled(s.text)
					if err = wrong; err == nil && len(parts) == 1 {
						kept = append(kept, string(parts[0].bytes))
					}
				}
				if i+1 < len(d.steps) && d.steps[i+1].verb == "kept" {
					continue
				}
				if got := b.kept(); err == nil && !slices.Equal(got, kept) {
					err = fmt.Errorf("kept\n%s\nwant\n%s", spell([]byte(strings.Join(got, "\n"))), spell([]byte(strings.Join(kept, "\n"))))
				}
				kept = nil
			default:
				err = errors.New("this line has no meaning")
			}
		}
		if err != nil {
			fail(err)
		}
		synctest.Wait()
	}
	if left := p.left(); len(left) > 0 {
		t.Errorf("at the end there came, unasked, %s", spell(left))
	}
}

func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/dialogues/*/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues (%v)", err)
	}
	for _, file := range files {
		folder := filepath.Base(filepath.Dir(file))
		t.Run(folder+"/"+strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			protocol, known := map[string]string{"mllp": "hl7", "astm": "astm"}[folder]
			if !known {
				t.Fatalf("the folder %s is of no protocol", folder)
			}
			d, err := readDialogue(string(text), protocol)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			synctest.Test(t, d.hold)
		})
	}
}

// What a dialogue cannot say must not pass for something that it did.
func TestDialogueMistakes(t *testing.T) {
	for _, text := range []string{"> <NOPE>", "> <xZZ>", "> <A*b>", "> <TIME>"} {
		parts, err := spelled(text[2:])
		if err == nil && !(len(parts) == 1 && parts[0].mask == "TIME") {
			t.Errorf("%s is read as %q", text, parts)
		}
	}
	for _, text := range []string{"...soon\n", "  set in\n", "unknown: key\n---\n"} {
		if d, err := readDialogue(text, "astm"); err == nil {
			t.Errorf("%q is read as %+v", text, d)
		}
	}
}
