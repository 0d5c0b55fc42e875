package imagetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// underLoad is how many messages each analyser delivers before the power is cut.
const underLoad = 10

// killCase cuts the power while messages come in.
func (b *box) killCase() error {
	_, err := b.kills(3)
	return err
}

// kills cuts the power that often under load, and then compares what was acknowledged with what the LIMS has.
func (b *box) kills(n int) (result string, err error) {
	if err := b.working(); err != nil {
		return "", err
	}
	before := len(b.promised.all())
	for i := range n {
		if err := b.cutUnderLoad(i); err != nil {
			return "", fmt.Errorf("power cut %d of %d: %w", i+1, n, err)
		}
		if err := b.up(); err != nil {
			return "", fmt.Errorf("the boot after power cut %d of %d: %w", i+1, n, err)
		}
	}
	repeats, err := b.promised.settle(b.lims, 2*momentLimit)
	if err != nil {
		return "", err
	}
	if err := b.verified(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d kills, %d messages acknowledged, 0 lost, 0 doubled, %d sent to the LIMS once more under the same identity", n, len(b.promised.all())-before, repeats), b.sound()
}

// cutUnderLoad has both analysers send, and cuts the power in the midst of it.
func (b *box) cutUnderLoad(round int) error {
	if err := b.wired(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	wire, lan := fmt.Sprintf("Wire%d", round), fmt.Sprintf("Lan%d", round)
	senders := []sender{
		{wire, b.promised, func(ctx context.Context) (net.Conn, error) { return b.line, ctx.Err() }, sendASTM, &b.sent},
		{lan, b.promised, b.dialLAN, sendHL7, new(atomic.Int64)},
	}
	senders[0].number = new(atomic.Int64)
	var working sync.WaitGroup
	for _, s := range senders {
		working.Go(func() { s.work(ctx) })
	}
	err := errors.Join(b.promised.wait(wire, underLoad, 2*momentLimit), b.promised.wait(lan, underLoad, 2*momentLimit))
	b.cut()
	b.machine = nil
	stop()
	b.cable.pull()
	working.Wait()
	return err
}

// verified has the box check its store.
func (b *box) verified() error {
	text, status, err := b.shell.run(2*time.Minute, "assaygate spool verify --config /data/config/assaygate.yaml")
	if err != nil {
		return err
	}
	if status != 0 || strings.Contains(text, "problem:") || !strings.Contains(text, "checked") {
		return fmt.Errorf("spool verify ended with %d: %s", status, tail(text))
	}
	return nil
}
