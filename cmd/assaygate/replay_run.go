package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink"
)

// replay is one run of the command. It has a store of its own, which is gone
// afterwards: a running gateway keeps the lock on its own, and would rightly hold
// back as a repeat what it has delivered before.
type replay struct {
	*replayCommand
	config    Config
	renames   []rename
	service   *instrument.Service
	refusals  *refusals
	store     *spool.Spool
	directory string
	to        []*recipient
	output    *outputFile
	report    io.Writer // for what went well
	errs      io.Writer
	going     *progress
}

// recipient is a destination of this run.
type recipient struct {
	name    string
	drainer *uplink.Drainer
	unwell  error // why it gets nothing more
}

// newReplay opens the store and all that works on it.
func newReplay(c *replayCommand, config Config, renames []rename, s *streams) (r *replay, err error) {
	r = &replay{replayCommand: c, config: config, renames: renames, refusals: newRefusals(), report: s.out, errs: s.err}
	if c.Output == "-" {
		r.report = s.err
	}
	r.going = newProgress(s.err)
	r.report, r.errs = r.going.around(r.report), r.going.around(r.errs)
	log := slog.New(slog.DiscardHandler)
	if r.directory, err = os.MkdirTemp("", "assaygate-replay-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	clock := newClock(board.System{}, log)
	settings := config.Spool
	settings.Directory = r.directory
	if c.Validate || c.Output != "" {
		config.Destinations = nil
	}
	r.store, err = spool.Open(context.Background(), settings, spool.Options{
		Destinations: config.spoolDestinations(), Log: log, ClockSet: clock.set,
	})
	if err != nil {
		return r, err
	}
	profiles, err := loadProfiles(config, r.store.Key(), newLog(LogSettings{Format: "text"}, s.err))
	if err != nil {
		return r, err
	}
	r.service = &instrument.Service{Profiles: profiles, Spool: r.store, Clock: clock.word, Grace: func() time.Duration { return config.ShutdownGrace }, Log: log, Observer: r.refusals}
	for _, d := range config.Destinations {
		to, _, err := d.open(clock.tls)
		if err != nil {
			return r, err
		}
		r.to = append(r.to, &recipient{name: d.Name, drainer: uplink.NewDrainer(r.store, to, c.Retries, uplink.Options{Grace: config.ShutdownGrace})})
	}
	if c.Output != "" {
		r.output, err = openOutput(c.Output, c.Format, s.out)
	}
	return r, err
}

func (r *replay) close() error {
	var errs []error
	if r.store != nil {
		errs = append(errs, r.store.Close())
	}
	return errors.Join(append(errs, r.output.discard(), os.RemoveAll(r.directory))...)
}

// run replays the files one after the other. Each is reported when it is done;
// what is not taken does not stop the rest.
func (r *replay) run(ctx context.Context, files []string) error {
	failed, messages := 0, 0
	replayed := r.going.of("replaying files")
	defer r.going.end()
	for i, file := range files {
		if len(files) > 1 {
			replayed(uint64(i), uint64(len(files)))
		}
		n, taken := r.file(ctx, file)
		messages += n
		if !taken {
			failed++
		}
	}
	if err := r.output.finish(); err != nil {
		return err
	}
	switch verb := r.verb(); {
	case failed == 0:
		fmt.Fprintf(r.report, "%s, %s: all %s\n", count(len(files), "file"), count(messages, "message"), verb)
		return nil
	case r.Validate:
		return fmt.Errorf("problems in %d of %s: see above", failed, count(len(files), "file"))
	default:
		return fmt.Errorf("not %s: %d of %s, see above; no file was changed, so they can be replayed again", verb, failed, count(len(files), "file"))
	}
}

func (r *replay) verb() string {
	switch {
	case r.Validate:
		return "valid"
	case r.DryRun:
		return "ready to be sent"
	case r.Output != "":
		return "written"
	}
	return "taken"
}

// file replays one file and reports it. All of it is sent, or nothing: who puts
// the rest right and replays it again must not send any message twice.
func (r *replay) file(ctx context.Context, file string) (messages int, taken bool) {
	envelopes, notes, problems := r.intake(ctx, file)
	messages = messagesIn(envelopes)
	if r.Validate {
		for _, e := range envelopes {
			if e.Problem != "" {
				problems = append(problems, e.Problem)
			}
		}
	}
	for _, note := range notes {
		fmt.Fprintf(r.errs, "%s: %s\n", file, note)
	}
	if len(problems) > 0 {
		r.drop(ctx, envelopes)
		what := "not sent: "
		switch {
		case r.Validate:
			what = ""
		case r.Output != "":
			what = "not written: "
		}
		for i, problem := range problems {
			if i == 0 || problem != problems[i-1] {
				fmt.Fprintf(r.errs, "%s: %s%s\n", file, what, problem)
			}
		}
		return messages, false
	}
	switch {
	case r.Validate:
		fmt.Fprintf(r.report, "%s: %s, valid\n", file, count(messages, "message"))
		return messages, true
	case r.Output != "":
		return messages, r.write(file, envelopes)
	case r.DryRun:
		fmt.Fprintf(r.report, "%s: %s\n", file, count(messages, "message"))
		summarise(r.report, envelopes)
	default:
		r.deliver(ctx)
	}
	return messages, r.outcome(ctx, file, envelopes)
}

// intake brings a file into the store as its instrument would. Problems say why
// nothing of it may be sent; notes are for people.
func (r *replay) intake(ctx context.Context, file string) (envelopes []envelope.Envelope, notes, problems []string) {
	if err := ctx.Err(); err != nil {
		return nil, nil, []string{"interrupted"}
	}
	if strings.HasSuffix(file, ".partial") && !r.Validate {
		return nil, nil, []string{"this input was not acknowledged, so the analyser still has it or has sent it again; to send it all the same, rename the file without .partial"}
	}
	read, err := readCapture(file)
	if err != nil {
		return nil, nil, []string{strings.TrimPrefix(err.Error(), file+": ")}
	}
	return r.readIn(ctx, file, read)
}

// readIn is intake of what was read from a file.
func (r *replay) readIn(ctx context.Context, file string, read capturefile.File) (envelopes []envelope.Envelope, notes, problems []string) {
	for _, problem := range read.Problems {
		switch {
		case problem.Frame: // judged as on a line
		case problem.Broken || r.Validate:
			problems = append(problems, problem.String())
		default:
			notes = append(notes, problem.String()+", left out")
		}
	}
	if len(problems) > 0 && !r.Validate {
		return nil, notes, problems
	}
	before, err := r.store.Status(ctx)
	if err != nil {
		return nil, notes, []string{err.Error()}
	}
	members := r.members(file)
	rebuilt := 0
	for _, t := range read.Transmissions {
		changed := r.replaceSamples(&t, members[lineOf(t)])
		if r.RebuildChecksums {
			rebuilt += rebuildChecksums(&t)
		}
		if err := r.take(ctx, t, members[lineOf(t)], changed); err != nil {
			problems = append(problems, err.Error())
		}
	}
	notes = append(notes, read.Notes()...)
	if rebuilt > 0 {
		notes = append(notes, count(rebuilt, "frame")+" got a right checksum")
	}
	envelopes, err = r.stored(ctx, before.LastSequence)
	if err != nil {
		return nil, notes, append(problems, err.Error())
	}
	if len(problems) > 0 {
		return envelopes, notes, problems // what broke off follows from that
	}
	for _, e := range envelopes {
		if e.Intake != envelope.Accepted && e.Part == 0 {
			problems = append(problems, notTaken(file, e))
		}
	}
	if len(envelopes) == 0 {
		problems = append(problems, "there is no message in it")
	}
	return envelopes, notes, problems
}

// notTaken says why a message of a file was not taken for a whole one.
func notTaken(file string, e envelope.Envelope) string {
	// Its mode, which tells a control from a patient, is only read in its own
	// format: nothing may be guessed here.
	if strings.HasSuffix(file, ".bin") && e.Protocol == envelope.ASTM && e.Intake == envelope.Parked {
		return "a CELL-DYN Emerald's frame of which an allowlist kept only records is no frame any more and cannot be replayed; as long as the gateway has the message, use assaygate spool retry"
	}
	return fmt.Sprintf("%s: %s", e.Intake, e.Reason)
}

// stored returns what the store got since a sequence, in order.
func (r *replay) stored(ctx context.Context, since uint64) (list []envelope.Envelope, err error) {
	ctx = context.WithoutCancel(ctx)
	status, err := r.store.Status(ctx)
	if err != nil || status.LastSequence == since {
		return nil, err
	}
	found, err := r.store.List(ctx, spool.Filter{Limit: int(status.LastSequence - since)})
	if err != nil {
		return nil, err
	}
	for i := len(found) - 1; i >= 0; i-- {
		detail, err := r.store.Show(ctx, found[i].ID)
		if err != nil {
			return nil, err
		}
		list = append(list, detail.Envelope)
	}
	return list, nil
}

func messagesIn(envelopes []envelope.Envelope) (n int) {
	for _, e := range envelopes {
		if e.Part == 0 {
			n++
		}
	}
	return n
}

// drop keeps a file's messages from being delivered with those of the next.
func (r *replay) drop(ctx context.Context, envelopes []envelope.Envelope) {
	for _, e := range envelopes {
		// What is not for any destination cannot be dropped, and need not be.
		_ = r.store.Drop(context.WithoutCancel(ctx), e.ID, replayed, "its file is not sent")
	}
}

// deliver hands the messages of a file to every destination that works.
func (r *replay) deliver(ctx context.Context) {
	for _, to := range r.to {
		if to.unwell == nil {
			to.unwell = to.drainer.Drain(ctx)
		}
		if errors.Is(to.unwell, context.Canceled) {
			to.unwell = errors.New("interrupted")
		}
	}
}
