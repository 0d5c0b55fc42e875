package capturefile

import (
	"bytes"

	"github.com/assaygate/assaygate/protocols/vendor"
)

// emerald reads what a CELL-DYN Emerald sends, with the lines between its frames
// or without, and with the host's answers or without. Nothing is added where the
// file holds none of its frames.
//
// senaite.astm writes frames without their END lines. A file that has no END
// line at all, and no line from between frames either, is taken for such; in any
// other a frame without is a broken one.
func (f *File) emerald(data []byte, base int) {
	most := bytes.Count(data, []byte("RESULT")) + bytes.Count(data, []byte("CALIBRATION")) + bytes.Count(data, []byte("STARTUP"))
	if most == 0 {
		return
	}
	f.expect(most)
	if bytes.IndexByte(data, '\r') < 0 {
		data = bytes.ReplaceAll(data, []byte{'\n'}, []byte{'\r'})
	}
	if last := data[len(data)-1]; last != '\r' && last != '\n' {
		data = append(bytes.Clone(data), '\r')
	}
	r := emeraldReader{file: f, bare: true}
	for _, word := range []string{"END_RESULT", "END_CALI", "CONNECT;", "RESULT_READY;"} {
		r.bare = r.bare && !bytes.Contains(data, []byte(word))
	}
	for at := 0; at < len(data); {
		n, line, _ := vendor.SplitLine(data[at:], true) // its error is always nil
		at += n
		r.line(line, base+at)
	}
	r.end(base + len(data))
}

// emeraldReader goes through a file's lines.
type emeraldReader struct {
	file     *File
	receiver vendor.Receiver
	bare     bool // the file has no END lines
	from     int  // where the open frame begins
	stray    int  // bytes that belong to nothing
	first    int  // where they begin
}

// line takes a line that ends before a byte of the file.
func (r *emeraldReader) line(line []byte, end int) {
	if r.receiver.Rest() == nil && bytes.HasPrefix(line, []byte("ACK_")) {
		return // the host's
	}
	out := r.receiver.Step(line)
	if out.Broken != nil {
		r.unended(out.Broken)
	}
	if out.Frame != nil {
		r.outside()
		r.file.vendor(Transmission{Format: vendor.Emerald, At: end - len(out.Frame), Text: out.Frame})
	}
	if open := r.receiver.Rest(); open != nil {
		r.from = end - len(open)
	}
	if out.Stray > 0 {
		at := end - out.Stray
		if !bytes.HasPrefix(line, []byte("END_")) {
			at -= len(line) // which may still be a header
		}
		r.skip(at, out.Stray)
	}
}

// end ends the file.
func (r *emeraldReader) end(at int) {
	if open := r.receiver.Rest(); open != nil {
		r.unended(open)
	} else if header := r.receiver.Size(); header > 0 {
		r.skip(at-header, header)
	}
	r.outside()
}

// unended takes a frame that has no END line.
func (r *emeraldReader) unended(frame []byte) {
	r.outside()
	if !r.bare {
		r.file.broken(r.from, "a frame without end")
		return
	}
	r.file.vendor(Transmission{Format: vendor.Emerald, At: r.from, Text: vendor.SealEmerald(bytes.Clone(frame)), Sealed: true})
}

func (r *emeraldReader) skip(at, n int) {
	if r.stray == 0 {
		r.first = max(0, at)
	}
	r.stray += n
}

// outside says what belongs to nothing.
func (r *emeraldReader) outside() {
	if r.stray > 0 {
		r.file.doubtful(r.first, "%d bytes outside any frame", r.stray)
	}
	r.stray = 0
}
