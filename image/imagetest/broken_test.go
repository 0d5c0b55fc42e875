package imagetest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing"
)

// brokenCase spoils the file system of /data, in three ways. The box boots, says so, acknowledges nothing, and a repair or
// reset that its owner has signed makes it whole.
func brokenCase(t *testing.T, b *box) (string, error) {
	if err := b.strayed(t.Context()); err != nil {
		return "", fmt.Errorf("/data with files that have lost their directory: %w", err)
	}
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
	return "with files that have lost their directory, without root directory, without superblock: the box boots, says so on its console, acknowledges nothing; after a repair by stick it has its configuration and every message, after a reset it is as new", b.sound()
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

// strayed takes from two files their directory. A repair finds them again, and all else is as it was.
func (b *box) strayed(ctx context.Context) error {
	if err := b.three(b.overLAN); err != nil {
		return err
	}
	stored, err := b.stored()
	if err != nil {
		return err
	}
	if _, err := b.do("mkdir /data/system/planted && cp /etc/passwd /data/system/planted/a && cp /etc/group /data/system/planted/b && sync"); err != nil {
		return err
	}
	b.off()
	if err := b.debugfs("clri /system/planted"); err != nil {
		return err
	}
	place, err := b.upBroken(ctx)
	if err != nil {
		return err
	}
	if err := b.restarted(place, "repair"); err != nil {
		return err
	}
	if have, err := b.stored(); err != nil || have != stored {
		return fmt.Errorf("the store had %s messages, and has %s (%v)", stored, have, err)
	}
	found, err := b.do("cat /data/lost+found/* | grep -c .")
	if err != nil {
		return fmt.Errorf("the files are not in lost+found: %w (%s)", err, found)
	}
	return errors.Join(b.three(b.overLAN), b.verified())
}

// mended boots a box whose /data is broken, and resets it.
func (b *box) mended(ctx context.Context) error {
	place, err := b.upBroken(ctx)
	if err != nil {
		return err
	}
	if err := b.restarted(place, "reset"); err != nil {
		return err
	}
	b.set = false
	return b.three(b.overLAN)
}

// upBroken boots a box whose /data is broken, which says so and acknowledges nothing.
func (b *box) upBroken(ctx context.Context) (place int, err error) {
	m, err := b.on()
	if err != nil {
		return 0, err
	}
	b.machine = m
	if _, place, err = m.console.wait(bootLimit, 0, booting); err != nil {
		return 0, err
	}
	if _, place, err = m.console.wait(bootLimit, place, brokenData); err != nil {
		return 0, err
	}
	if err := m.followJournal(); err != nil {
		return 0, err
	}
	if _, _, err := m.journal.wait(bootLimit, 0, `the store is closed: nothing is acknowledged`); err != nil {
		return 0, err
	}
	promised := len(b.promised.all())
	short, stop := context.WithTimeout(ctx, momentLimit)
	defer stop()
	if err := b.overLAN(short); err == nil || len(b.promised.all()) != promised {
		return 0, errors.New("a message was acknowledged")
	}
	if text, status, err := m.shell.run(momentLimit, "assaygate health --admin 127.0.0.1:"+adminPort); err != nil || status == 0 {
		return 0, fmt.Errorf("the gateway says that it is healthy: %s (%v)", text, err)
	}
	return place, nil
}

const brokenData = `the card's partition for /data (is not there|can only be read).*`

// restarted plugs in a stick with a request for the card, signed by the owner, and waits until the box has started anew, whole.
func (b *box) restarted(place int, request string) (err error) {
	if err := b.stick(b.directory, map[string]string{request: ""}, b.sign); err != nil {
		return err
	}
	if b.slot, _, err = b.booted(place, 3*bootLimit); err != nil {
		return err
	}
	b.cable.pull()
	if found := regexp.MustCompile(brokenData).FindString(b.console.since(place)); found != "" {
		return fmt.Errorf("still, after the %s: %s", request, found)
	}
	return b.pullDisk("stick")
}
