package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// rename is one --sample-id OLD=NEW.
type rename struct{ old, replacement string }

// parseRename refuses what cannot stand in a field whatever its delimiters are.
func parseRename(text string) (rename, error) {
	old, replacement, found := strings.Cut(text, "=")
	old = strings.TrimSpace(old)
	if !found || old == "" || replacement == "" {
		return rename{}, fmt.Errorf("%q is not OLD=NEW", text)
	}
	if i := strings.IndexFunc(replacement, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`|\^&~;[]`, r) }); i >= 0 {
		return rename{}, fmt.Errorf("%q cannot stand in a field; take printable ASCII without | \\ ^ & ~ ; [ ]", replacement)
	}
	return rename{old, replacement}, nil
}

// countSamples says how often each sample id to replace is there. One that is
// nowhere is a mistake, and then nothing must be sent.
func (r *replay) countSamples(files []string) error {
	var errs []error
	found := make([]int, len(r.renames))
	in := make([]int, len(r.renames))
	for _, file := range files {
		if len(r.renames) == 0 {
			break
		}
		capture, err := readCapture(file)
		if err != nil {
			continue // it is reported when its turn comes
		}
		members := r.members(file)
		for i, one := range r.renames {
			n := 0
			for _, t := range capture.Transmissions {
				n += len(r.sampleEdits(t, members[lineOf(t)], one))
			}
			if found[i] += n; n > 0 {
				in[i]++
			}
		}
	}
	for i, one := range r.renames {
		if found[i] == 0 {
			errs = append(errs, fmt.Errorf("--sample-id: no file has the sample %s where its instrument's profile reads the sample id, so nothing was sent; see `assaygate inspect summary`", one.old))
			continue
		}
		fmt.Fprintf(r.report, "sample %s becomes %s: replaced in %s of %s\n", one.old, one.replacement, count(found[i], "place"), count(in[i], "file"))
	}
	return errors.Join(errs...)
}

func (r *replay) sampleEdits(t capturefile.Transmission, members []instrument.Instrument, one rename) []profile.Edit {
	if len(members) == 0 {
		return nil
	}
	from := instrument.Sender(r.service.Profiles, members, envelope.Protocol(t.Protocol), t.Text)
	if t.Protocol == capturefile.Vendor {
		from = instrument.PacketSender(members, t.Format)
	}
	return r.service.Profiles.SampleEdits(profile.Raw{
		Protocol: envelope.Protocol(t.Protocol), Format: string(t.Format), Text: t.Text, Profile: from.Settings.Profile, Charset: from.Settings.Charset,
	}, one.old, one.replacement)
}

// replaceSamples changes the sample ids of a transmission, all at the same time:
// two may be exchanged. Checksums stay as they are. It returns which frames
// changed; what has none counts as one.
func (r *replay) replaceSamples(t *capturefile.Transmission, members []instrument.Instrument) (changed map[int]bool) {
	var edits []profile.Edit
	for _, one := range r.renames {
		edits = append(edits, r.sampleEdits(*t, members, one)...)
	}
	if len(edits) == 0 {
		return nil
	}
	slices.SortFunc(edits, func(a, b profile.Edit) int { return a.At - b.At })
	if len(t.Frames) == 0 {
		t.Text = edited(t.Text, 0, edits)
		if t.Sealed {
			t.Text = vendor.Resum(t.Format, t.Text) // the file has no sum that could fit
		}
		return map[int]bool{0: true}
	}
	changed = map[int]bool{}
	frames := slices.Clone(t.Frames)
	for i, frame := range frames {
		parsed, err := lis01.ParseFrame(frame.Token)
		if err != nil && !errors.Is(err, lis01.ErrChecksum) {
			continue
		}
		if text := edited(parsed.Text, frame.In, edits); string(text) != string(parsed.Text) {
			behind := 2 + len(parsed.Text) // STX and the number
			frames[i].Token = slices.Concat(frame.Token[:2], text, frame.Token[behind:])
			_, frames[i].Err = lis01.ParseFrame(frames[i].Token)
			changed[i] = true
		}
	}
	t.Frames = frames
	return changed
}

// edited applies edits, which are in order, to a part of a text that begins at
// base. Where a frame ends within an edit, the part before holds all that is new.
func edited(part []byte, base int, edits []profile.Edit) []byte {
	var out []byte
	at := 0
	for _, e := range edits {
		from, to := e.At-base, e.At+e.Length-base
		if to <= at || from >= len(part) {
			continue
		}
		if from >= at {
			out = append(append(out, part[at:from]...), e.New...)
		}
		at = min(to, len(part))
	}
	return append(out, part[at:]...)
}

// rebuildChecksums makes sound frames of those whose checksum does not fit.
func rebuildChecksums(t *capturefile.Transmission) (rebuilt int) {
	if t.Protocol == capturefile.Vendor && vendor.Verify(t.Format, t.Text) != nil {
		t.Text = vendor.Resum(t.Format, t.Text)
		return 1
	}
	t.Frames = slices.Clone(t.Frames)
	for i, frame := range t.Frames {
		if errors.Is(frame.Err, lis01.ErrChecksum) {
			parsed, _ := lis01.ParseFrame(frame.Token) // whole but for its checksum
			t.Frames[i].Token, t.Frames[i].Err = lis01.AppendFrame(nil, parsed), nil
			rebuilt++
		}
	}
	return rebuilt
}
