package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// What a page shows of what was sent, in bytes; all of it is there to download.
const (
	rawShown      = 64 << 10
	envelopeShown = 64 << 10
)

// sentView is what the instrument sent, for those who may see it: it has all that is
// known of a patient.
type sentView struct {
	Raw         string // readable
	RawBytes    int
	RawCut      bool
	Records     []Record
	MoreRecords bool
	Unsplit     string // why it cannot be taken apart further, or ""
	HasRecords  bool
	Envelope    string
	EnvelopeCut bool
}

// sent is what the instrument sent. That the person reads it is in the audit before
// it is on a page.
func (c *Console) sent(r *http.Request, m api.Message) (*sentView, error) {
	if err := c.noteOnce(r, spool.ReadMessage, m.Sequence, ""); err != nil {
		return nil, err
	}
	view := &sentView{RawBytes: len(m.Kept.Raw), RawCut: len(m.Kept.Raw) > rawShown}
	text := c.text(m.Kept)
	view.Raw = visible([]byte(beginning(text, rawShown)))
	if records := c.options.Message.Records; records != nil {
		var err error
		view.HasRecords = true
		if view.Records, view.MoreRecords, err = records(m.Kept); err != nil {
			view.Unsplit = err.Error()
		}
	}
	view.Envelope, view.EnvelopeCut = indented(m.Envelope)
	return view, nil
}

// text is the message as kept, in UTF-8.
func (c *Console) text(e envelope.Envelope) string {
	if c.options.Message.Text != nil {
		return c.options.Message.Text(e)
	}
	return readable(e.Raw)
}

// beginning cuts a text where a character begins.
func beginning(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// indented is JSON to read, or the beginning of it as it is where it is long.
func indented(document []byte) (text string, cut bool) {
	var out bytes.Buffer
	if len(document) <= envelopeShown && json.Indent(&out, document, "", "  ") == nil {
		return visibleLog(out.Bytes()), false
	}
	return visibleLog(document[:min(len(document), envelopeShown)]), len(document) > envelopeShown
}

// raw is the message as kept, as a file.
func (c *Console) raw(w http.ResponseWriter, r *http.Request) {
	store := c.open(w, r)
	if store == nil {
		return
	}
	detail, err := store.Show(r.Context(), r.PathValue("id"))
	if err == nil {
		err = c.noteOnce(r, spool.Downloaded, detail.Envelope.Sequence, "raw")
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Disposition", `attachment; filename="`+fileStem(detail.Envelope)+extension(detail.Envelope)+`"`)
	api.WriteRaw(w, detail.Envelope.Raw)
}

// envelope is what destinations get, as a file.
func (c *Console) envelope(w http.ResponseWriter, r *http.Request) {
	store := c.open(w, r)
	if store == nil {
		return
	}
	message, err := api.Show(r.Context(), store, r.PathValue("id"))
	if err == nil && message.Damaged != "" {
		err = spool.ErrDamaged
	}
	if err == nil {
		err = c.noteOnce(r, spool.Downloaded, message.Sequence, "envelope")
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="`+fileStem(message.Kept)+`.json"`)
	w.Header().Set("Content-Length", strconv.Itoa(len(message.Envelope)))
	_, _ = w.Write(message.Envelope) // a failed write means that the reader left
}

// fileStem is how files of a message are called, without what a file system or a
// header refuses.
func fileStem(e envelope.Envelope) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || unicode.IsDigit(r) || unicode.IsLetter(r)) {
			return r
		}
		return '_'
	}, e.ID)
}

// extension is that of capture files.
func extension(e envelope.Envelope) string {
	switch e.Protocol {
	case envelope.ASTM:
		return ".astm"
	case envelope.HL7:
		return ".hl7"
	}
	return ".bin"
}
