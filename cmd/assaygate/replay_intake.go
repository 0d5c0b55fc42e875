package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// answerLimit is how long the gateway's side may take for an answer: longer than
// a commit may.
const answerLimit = time.Minute

// ownName is how a capture destination calls its files.
var ownName = regexp.MustCompile(`^\d{8}T\d{6}\.\d{6}Z-(.+)-\d+\.(?:astm|hl7|bin)(?:\.partial)?$`)

// replayed is the name of the line where a file's does not tell the instrument.
const replayed = "replay"

// members are who a file's messages can be from, by protocol. Where its name
// tells the instrument and that is configured, it is from that one. Else it is
// from the configured instrument whose profile fits, or from nobody that is
// configured.
func (r *replay) members(file string) map[capturefile.Protocol][]instrument.Instrument {
	name, known := replayed, false
	if parts := ownName.FindStringSubmatch(filepath.Base(file)); parts != nil {
		name, known = parts[1], true
	}
	list := map[capturefile.Protocol][]instrument.Instrument{}
	for _, protocol := range []capturefile.Protocol{capturefile.ASTM, capturefile.HL7, capturefile.Vendor} {
		stranger := instrument.Instrument{Name: name, Settings: instrument.Defaults()}
		stranger.Settings.Protocol = string(protocol)
		var all []instrument.Instrument
		itself := -1
		for _, i := range r.config.Instruments {
			member := i.member(r.service.Profiles)
			if member.Settings.Protocol != string(protocol) {
				continue
			}
			if i.Name == name && known {
				itself = len(all)
			}
			all = append(all, member)
		}
		switch {
		case itself >= 0:
			list[protocol] = all[itself : itself+1]
		case known:
			list[protocol] = append([]instrument.Instrument{stranger}, all...)
		default:
			list[protocol] = append(all, stranger)
		}
	}
	return list
}

// lineOf is the protocol of the line that a transmission comes over: packets come
// over lines for ASTM, and only the Emerald has lines of its own.
func lineOf(t capturefile.Transmission) capturefile.Protocol {
	if t.Protocol == capturefile.Vendor && t.Format != vendor.Emerald {
		return capturefile.ASTM
	}
	return t.Protocol
}

// take plays a transmission to a line of the gateway, as its instrument would. An
// error says why the gateway did not take it, with the place.
func (r *replay) take(ctx context.Context, t capturefile.Transmission, members []instrument.Instrument, changed map[int]bool) (err error) {
	if t.Protocol == capturefile.Vendor {
		return r.takePacket(ctx, t, members, changed[0])
	}
	if len(t.Frames) == 0 && t.Protocol == capturefile.ASTM {
		var tokens [][]byte
		for _, m := range t.Messages() {
			tokens = lis01.AppendMessage(tokens, m.Text, 0)
		}
		for _, token := range tokens {
			t.Frames = append(t.Frames, capturefile.Frame{At: t.At, Token: token})
		}
	}
	if goesOn(t.Frames) {
		members = withoutNumbers(members)
	}
	p := r.plug(members)
	defer p.unplug()
	if t.Protocol == capturefile.HL7 {
		if err := p.block(t.Text); err != nil {
			return fmt.Errorf("byte %d: %w", t.At, err)
		}
		return nil
	}
	return p.session(t.Frames, changed)
}

// goesOn reports whether frames are the second message of a session, or a later
// one: a capture holds one message, and its numbers go on from the one before.
func goesOn(frames []capturefile.Frame) bool {
	if len(frames) == 0 || frames[0].Name() == "1" {
		return false
	}
	for i, frame := range frames[1:] {
		before := frames[i].Token
		if len(frame.Token) < 2 || len(before) < 2 || frame.Token[1] != '0'+(before[1]-'0'+1)%8 {
			return false
		}
	}
	return true
}

// withoutNumbers are the members on a line where the first frame has any number.
func withoutNumbers(members []instrument.Instrument) []instrument.Instrument {
	members = slices.Clone(members)
	for i := range members {
		members[i].Settings.Quirks.FrameNumbers = "ignore"
	}
	return members
}

// player is the instrument's side of a line. It never sends anything twice.
type player struct {
	conn     net.Conn
	ended    chan struct{} // closed when the gateway is done with the line
	refusals *refusals
}

// plug opens a line to the gateway. Whatever a message asks for, here it is to
// have one answer that tells how it went, and nobody waits for that to a query.
func (r *replay) plug(members []instrument.Instrument) *player {
	members = slices.Clone(members)
	for i := range members {
		members[i].Settings.Ack = "original"
		members[i].Settings.Quirks.Query = profile.QueryNone
	}
	near, far := net.Pipe()
	p := &player{conn: near, ended: make(chan struct{}), refusals: r.refusals}
	go func() {
		defer close(p.ended)
		// What fails there is seen here: in the answers and in the store.
		_ = r.service.Serve(context.Background(), far, replayed, members)
		far.Close()
	}()
	return p
}

// unplug ends the line, and returns when the gateway has kept what came over it.
func (p *player) unplug() {
	p.conn.Close()
	<-p.ended
}

// ask writes bytes, if any, and reads an answer where there is room for one.
func (p *player) ask(bytes []byte, answer []byte) (n int, err error) {
	if err := p.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return 0, err
	}
	if len(bytes) > 0 {
		_, err = p.conn.Write(bytes)
	}
	if err == nil && len(answer) > 0 {
		n, err = p.conn.Read(answer)
	}
	if err != nil {
		return 0, fmt.Errorf("the line was closed: %s", p.refusals.last(err.Error()))
	}
	return n, nil
}

// session plays the frames of a session.
func (p *player) session(frames []capturefile.Frame, changed map[int]bool) error {
	answer := make([]byte, 1)
	if _, err := p.ask([]byte{lis01.ENQ}, answer); err != nil {
		return err
	}
	for i, frame := range frames {
		token := frame.Token
		if token[len(token)-1] != lis01.LF {
			// Nobody waits here for whether an end of line still comes.
			token = append(slices.Clone(token), lis01.CR, lis01.LF)
		}
		if _, err := p.ask(token, answer); err != nil {
			return fmt.Errorf("byte %d: frame %s: %w", frame.At, frame.Name(), err)
		}
		if answer[0] != lis01.ACK {
			return fmt.Errorf("byte %d: frame %s: %s", frame.At, frame.Name(), p.why(frame, changed[i]))
		}
	}
	_, err := p.ask([]byte{lis01.EOT}, nil)
	return err
}

// why says why a frame got NAK, and what to do.
func (p *player) why(frame capturefile.Frame, changed bool) string {
	switch reason := p.refusals.last("refused"); {
	case reason == string(lis01.RefusedChecksum) && changed:
		return "--sample-id changed its text, so its checksum does not fit any more; add --rebuild-checksums"
	case reason == string(lis01.RefusedChecksum):
		return frame.Err.Error() + "; if the rest of it can be trusted, add --rebuild-checksums"
	case reason == string(lis01.RefusedNumber):
		return "its number does not follow: a frame before it is missing"
	case frame.Err != nil:
		return frame.Err.Error()
	default:
		return reason
	}
}

// block plays an HL7 message and waits for its acknowledgment.
func (p *player) block(content []byte) error {
	if slices.Contains(content, mllp.StartBlock) || slices.Contains(content, mllp.EndBlock) {
		return errors.New("the message holds a character that ends blocks")
	}
	if header, err := hl7.ParseHeader(content); err == nil {
		if code, _, _ := hl7.MessageType(header); code == "ACK" || code == "MCF" {
			return errors.New("it is an acknowledgement, which nobody answers and which holds no result")
		}
	}
	var data []byte
	answer := make([]byte, 4096)
	for send := mllp.AppendBlock(nil, content); ; send = nil {
		n, err := p.ask(send, answer)
		if err != nil {
			return err
		}
		data = append(data, answer[:n]...)
		_, block, _ := mllp.Split(data, false) // its error is always nil
		if block == nil {
			continue
		}
		acknowledgment, err := hl7.Parse(block)
		if err != nil {
			return err
		}
		msa := acknowledgment.First("MSA")
		if code := string(msa.Field(1)); code != hl7.Accept {
			return fmt.Errorf("answered %s: %s", code, hl7.Unescape(nil, msa.Field(3), acknowledgment.Delimiters))
		}
		return nil
	}
}

// refusals is the instrument.Observer of the line: it remembers the reason of
// the last negative acknowledgment, which a NAK itself does not tell.
type refusals struct{ reason chan string }

func newRefusals() *refusals { return &refusals{make(chan string, 1)} }

// NegativeAck is told before the answer is sent.
func (r *refusals) NegativeAck(_, reason string) {
	select {
	case <-r.reason:
	default:
	}
	r.reason <- reason
}

// last returns the reason that was told last, if one was since the last call.
func (r *refusals) last(otherwise string) string {
	select {
	case reason := <-r.reason:
		return reason
	default:
		return otherwise
	}
}

func (*refusals) Message(string, envelope.Protocol, string) {}
func (*refusals) SerialErrors(string, string, uint64)       {}
func (*refusals) Query(string, string)                      {}
func (*refusals) Up(string, bool)                           {}
func (*refusals) Connections(string, int)                   {}
func (*refusals) Sessions(int)                              {}
func (*refusals) Commits(int)                               {}
func (*refusals) Committed(time.Duration)                   {}
func (*refusals) NotCommitted(error)                        {}
