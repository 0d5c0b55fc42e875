package imagetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// brokenCase spoils the file system of /data, in two ways. The box boots, says so, acknowledges nothing, and a reset that
// its owner has signed makes it whole.
func brokenCase(t *testing.T, b *box) (string, error) {
	for _, how := range []struct {
		name  string
		spoil func() error
	}{
		{"without its root directory", func() error { return b.debugfs("clri <2>") }},
		{"without its superblock", func() error {
			list, err := partitions(b.card)
			if err != nil {
				return err
			}
			return tool("dd", "if=/dev/zero", "of="+b.card, "bs=1k", fmt.Sprintf("seek=%d", list["data"].begin>>10), "count=8", "conv=notrunc")
		}},
	} {
		if err := b.three(b.overLAN); err != nil {
			return "", err
		}
		b.off()
		if err := how.spoil(); err != nil {
			return "", err
		}
		if err := b.mended(t.Context()); err != nil {
			return "", fmt.Errorf("/data %s: %w", how.name, err)
		}
	}
	return "without root directory, without superblock: the box boots, says so on its console, acknowledges nothing; after a reset by stick it is as new", b.sound()
}

// debugfs spoils the file system by hand, and has it say of itself that it has errors. The journal comes first: it would put
// right again what it has a copy of.
func (b *box) debugfs(request string) error {
	list, err := partitions(b.card)
	if err != nil {
		return err
	}
	at := fmt.Sprintf("%s?offset=%d", b.card, list["data"].begin)
	for _, one := range []string{"journal_run", request, "ssv state 2"} {
		if err := tool("debugfs", "-w", "-R", one, at); err != nil {
			return err
		}
	}
	return nil
}

// mended boots a box whose /data is broken, and resets it.
func (b *box) mended(ctx context.Context) error {
	m, err := b.on()
	if err != nil {
		return err
	}
	b.machine = m
	_, place, err := m.console.wait(bootLimit, 0, booting)
	if err != nil {
		return err
	}
	if _, place, err = m.console.wait(bootLimit, place, `the card's partition for /data .*`); err != nil {
		return err
	}
	if err := m.followJournal(); err != nil {
		return err
	}
	if _, _, err := m.journal.wait(bootLimit, 0, `the store is closed: nothing is acknowledged`); err != nil {
		return err
	}
	promised := len(b.promised.all())
	short, stop := context.WithTimeout(ctx, momentLimit)
	defer stop()
	if err := b.overLAN(short); err == nil || len(b.promised.all()) != promised {
		return errors.New("a message was acknowledged")
	}
	if text, status, err := m.shell.run(momentLimit, "assaygate health --config /data/config/assaygate.yaml --admin 127.0.0.1:"+adminPort); err != nil || status == 0 {
		return fmt.Errorf("the gateway says that it is healthy: %s (%v)", text, err)
	}
	if err := b.stick(b.directory, map[string]string{"reset": ""}, b.sign); err != nil {
		return err
	}
	if b.slot, _, err = m.booted(place, 2*bootLimit); err != nil {
		return err
	}
	if strings.Contains(m.console.since(place), "the card's partition for /data") {
		return errors.New("/data is still broken after the reset")
	}
	b.set = false
	b.cable.pull()
	return errors.Join(m.pullDisk("stick"), b.three(b.overLAN))
}
