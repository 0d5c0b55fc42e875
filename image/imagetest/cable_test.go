package imagetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/assaygate/assaygate/device/simulator"
)

// adapterSerial is the serial number of the USB serial adapter.
const adapterSerial = "IMAGETEST1"

// cable is the analyser's end of the serial line. The adapter is in the box's socket while somebody holds this end: the
// emulator takes the device away with the connection.
type cable struct {
	path     string
	listener net.Listener
	line     net.Conn
}

// plug plugs the adapter in, and returns when the board has it.
func (c *cable) plug() (err error) {
	_ = os.Remove(c.path)
	if c.listener, err = net.Listen("unix", c.path); err != nil {
		return err
	}
	if err = c.listener.(*net.UnixListener).SetDeadline(time.Now().Add(momentLimit)); err != nil {
		return err
	}
	c.line, err = c.listener.Accept()
	return err
}

// pull pulls it out.
func (c *cable) pull() {
	if c.listener != nil {
		c.listener.Close()
	}
	if c.line != nil {
		c.line.Close()
	}
	c.listener, c.line = nil, nil
}

// frameSize cuts every ASTM message in two, and not before its last byte: the first frame would then look whole, and a
// person would have to decide about it when the line is lost there.
const frameSize = 80

var errRefused = errors.New("not acknowledged")

// send plays one message over an open line, and enters it into the ledger once the box has acknowledged it.
func send(ctx context.Context, line net.Conn, protocol simulator.Protocol, text, sample string, promised *ledger) error {
	result, err := simulator.Play(ctx, line, []simulator.Message{{Protocol: protocol, Text: []byte(text)}}, simulator.Options{Verbatim: true, FrameSize: frameSize})
	if err != nil {
		return err
	}
	if len(result.Acknowledged) != 1 {
		return fmt.Errorf("%w: %+v", errRefused, result.Refused)
	}
	promised.add(sample)
	return nil
}

func sendASTM(ctx context.Context, line net.Conn, sample string, promised *ledger) error {
	return send(ctx, line, simulator.ASTM, astmText(sample), sample, promised)
}

func astmText(sample string) string {
	return fmt.Sprintf("H|\\^&|C%s||Analyser|||||||P|1|20260102030405\rP|1\rO|1|%s||^^^GLU\rR|1|^^^GLU|5.1|mmol/L\rL|1|N\r", sample, sample)
}

func sendHL7(ctx context.Context, line net.Conn, sample string, promised *ledger) error {
	text := fmt.Sprintf("MSH|^~\\&|Analyser|Lab|||20260102030405||ORU^R01|C%s|P|2.5.1\rPID|1\rOBR|1||%s\rOBX|1|NM|GLU||5.1|mmol/L\r", sample, sample)
	return send(ctx, line, simulator.HL7, text, sample, promised)
}

// sender is an analyser that sends one message after the other, each until it is acknowledged.
type sender struct {
	name     string
	promised *ledger
	open     func(ctx context.Context) (net.Conn, error)
	send     func(ctx context.Context, line net.Conn, sample string, promised *ledger) error
	number   *atomic.Int64
}

// work sends until ctx ends.
func (s sender) work(ctx context.Context) {
	for ctx.Err() == nil {
		line, err := s.open(ctx)
		if err != nil {
			return // ctx has ended
		}
		for ctx.Err() == nil {
			if err = s.send(ctx, line, fmt.Sprintf("%s-%d", s.name, s.number.Load()), s.promised); err != nil {
				break
			}
			s.number.Add(1)
		}
		// The serial line stays as it is where only an answer is missing: nobody pulls its plug.
		if !errors.Is(err, errRefused) {
			line.Close()
		}
	}
}
