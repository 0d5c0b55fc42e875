package imagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/assaygate/assaygate/protocols/lis01"
)

// serialCase: an analyser on a USB adapter delivers to the LIMS.
func (b *box) serialCase() error { return b.three(b.overWire) }

// mllpCase: one on the network does.
func (b *box) mllpCase() error { return b.three(b.overLAN) }

// three sends three messages, which must be in the LIMS.
func (b *box) three(send func(context.Context) error) error {
	if err := b.working(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), momentLimit)
	defer cancel()
	for range 3 {
		if err := send(ctx); err != nil {
			return err
		}
	}
	return b.delivered()
}

// replugCase pulls the adapter out and puts it back: between messages, in the middle of a frame, and when a message was
// stored whose answer the analyser has not seen. Nothing is lost, and nothing is there twice.
func (b *box) replugCase() error {
	if err := b.working(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*momentLimit)
	defer cancel()
	if err := b.overWire(ctx); err != nil {
		return err
	}
	for _, moment := range []struct {
		name  string
		begin func(sample string) error
	}{
		{"between messages", func(string) error { return nil }},
		{"mid-frame", b.halfFrame},
		{"without the last answer", b.allButEOT},
	} {
		sample := b.sample("Wire")
		if err := moment.begin(sample); err != nil {
			return fmt.Errorf("%s: %w", moment.name, err)
		}
		b.cable.pull()
		if err := b.poll(momentLimit, "box without the adapter", func() (bool, error) {
			_, status, err := b.shell.run(momentLimit, "test ! -e /dev/ttyUSB0")
			return status == 0, err
		}); err != nil {
			return fmt.Errorf("%s: %w", moment.name, err)
		}
		if err := b.wired(); err != nil {
			return fmt.Errorf("%s: %w", moment.name, err)
		}
		// The analyser sends the message again, as it has no answer.
		if err := sendASTM(ctx, b.line, sample, b.promised); err != nil {
			return fmt.Errorf("%s: %w", moment.name, err)
		}
	}
	return b.delivered()
}

// halfFrame opens a session, and breaks off in the middle of its first frame.
func (b *box) halfFrame(sample string) error {
	frame := lis01.AppendMessage(nil, []byte(astmText(sample)), frameSize)[0]
	if err := b.acknowledged([]byte{lis01.ENQ}); err != nil {
		return err
	}
	_, err := b.line.Write(frame[:len(frame)/2])
	return err
}

// allButEOT sends a session without its end.
func (b *box) allButEOT(sample string) error {
	for _, unit := range append([][]byte{{lis01.ENQ}}, lis01.AppendMessage(nil, []byte(astmText(sample)), frameSize)...) {
		if err := b.acknowledged(unit); err != nil {
			return err
		}
	}
	return nil
}

func (b *box) acknowledged(unit []byte) error {
	answer := make([]byte, 1)
	err := b.line.SetDeadline(time.Now().Add(momentLimit))
	if err == nil {
		_, err = b.line.Write(unit)
	}
	if err == nil {
		_, err = io.ReadFull(b.line, answer)
	}
	if err == nil && answer[0] != lis01.ACK {
		err = fmt.Errorf("answered with %q", answer)
	}
	return errors.Join(err, b.line.SetDeadline(time.Time{}))
}
