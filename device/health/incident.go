package health

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"runtime"
	"slices"
	"time"
)

// incident is what was said of parts that are silent; its zero value is none.
type incident struct{ names []string }

// report says which part has fallen silent, each once, and that all are well
// again. The first of an incident has the stacks dumped: those that wait for it
// show there too.
func (i *incident) report(o Options, silent []silence) {
	var names []string
	first := len(i.names) == 0
	for _, s := range silent {
		names = append(names, s.name)
		if !slices.Contains(i.names, s.name) {
			o.Log.Error("a part of the gateway stands still: systemd is left to restart the process", "part", s.name,
				"silent", s.since.Round(time.Millisecond).String(), "deadline", s.deadline.String())
		}
	}
	if first && len(names) > 0 && o.Dump != nil {
		dump(o.Dump, o.Log)
	}
	if !first && len(names) == 0 {
		o.Log.Info("healthy again")
	}
	i.names = names
}

// mostStacks bounds what is read, mostDumped what is written: journald takes some
// ten thousand lines at once from a service.
const (
	mostStacks = 8 << 20
	mostDumped = 512 << 10
)

// dump writes the stacks of all goroutines, each different one once.
func dump(to io.Writer, log *slog.Logger) {
	stacks := make([]byte, 64<<10)
	n := runtime.Stack(stacks, true)
	for n == len(stacks) && n < mostStacks {
		stacks = make([]byte, 4*n)
		n = runtime.Stack(stacks, true)
	}
	if _, err := to.Write(condense(stacks[:n], mostDumped)); err != nil {
		log.Warn("the stacks could not be written", "error", err)
	}
}

// condense puts equal stacks together, in their order, and leaves out what the
// calls were given: numbers that tell nobody anything, and that might be a letter
// of a message. What is beyond the limit in bytes is left out and said.
func condense(stacks []byte, limit int) []byte {
	type group struct {
		head, body []byte
		more       int
	}
	var groups []*group
	known := map[string]*group{}
	for _, stack := range bytes.Split(bytes.TrimSpace(stacks), []byte("\n\n")) {
		head, body, _ := bytes.Cut(stack, []byte("\n"))
		body = given.ReplaceAll(body, []byte("(...)"))
		body = offset.ReplaceAll(body, nil)
		body = creator.ReplaceAll(body, []byte("$1"))
		if g := known[string(body)]; g != nil {
			g.more++
			continue
		}
		g := &group{head: head, body: body}
		known[string(body)] = g
		groups = append(groups, g)
	}
	var out bytes.Buffer
	for i, g := range groups {
		if out.Len()+len(g.head)+len(g.body) > limit {
			fmt.Fprintf(&out, "and %d more different stacks\n\n", len(groups)-i)
			break
		}
		out.Write(g.head)
		if g.more > 0 {
			fmt.Fprintf(&out, " and %d more like it", g.more)
		}
		fmt.Fprintf(&out, "\n%s\n\n", g.body)
	}
	return out.Bytes()
}

// What differs between goroutines that do the same.
var (
	given   = regexp.MustCompile(`(?m)\([^()\n]*\)$`)
	offset  = regexp.MustCompile(`(?m) \+0x[0-9a-f]+$`)
	creator = regexp.MustCompile(`(?m)^(created by .*) in goroutine \d+$`)
)
