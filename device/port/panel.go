package port

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// A Panel is what all serial lines of a process share, as the panel that their
// plugs are in: which line has which device, and the news of devices that come.
// It is ready as its zero value, and nil is a panel that knows nothing.
type Panel struct {
	// System is where devices are looked for; its zero value is the running one.
	System System

	mu    sync.Mutex
	held  map[string]Held // by device, links followed
	fresh chan struct{}   // closed at the next news; nil while nobody waits
}

// Held is a device that a line of this process has open.
type Held struct {
	// Owner is whose line it is, and Name how that calls the device.
	Owner, Name string
	// Path is the device.
	Path string

	line *SerialLine
}

// Modem returns the modem lines of the port, without disturbing its line.
func (h Held) Modem() (ModemLines, error) { return h.line.Modem() }

// Errors returns what the hardware has counted, as that of [SerialLine].
func (h Held) Errors() (Counters, error) { return h.line.Errors() }

// Devices lists the serial ports that are there now.
func (p *Panel) Devices() ([]Device, error) {
	if p == nil || p.System == (System{}) {
		return Devices()
	}
	return p.System.Devices()
}

// Lookup is a Resolver.
func (p *Panel) Lookup(name string) (path string, err error) {
	if p == nil || p.System == (System{}) {
		return Lookup(name)
	}
	return p.System.Lookup(name)
}

// Held lists what is open now, in the order of the owners.
func (p *Panel) Held() []Held {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []Held
	for _, h := range p.held {
		if h.line != nil {
			list = append(list, h)
		}
	}
	slices.SortFunc(list, func(a, b Held) int { return strings.Compare(a.Owner, b.Owner) })
	return list
}

// open opens a device and notes whose it is, until the line is closed. Two lines
// that call one device by two names are told of each other.
func (p *Panel) open(ctx context.Context, owner, name string, s Serial) (*SerialLine, error) {
	if p == nil {
		return OpenSerial(ctx, s)
	}
	key := s.Port
	if real, err := filepath.EvalSymlinks(key); err == nil {
		key = real
	}
	if err := p.claim(key, Held{Owner: owner, Name: name, Path: s.Port}); err != nil {
		return nil, err
	}
	line, err := OpenSerial(ctx, s)
	if err != nil {
		p.release(key)
		return nil, err
	}
	line.released = func() { p.release(key) }
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held[key] = Held{Owner: owner, Name: name, Path: s.Port, line: line}
	return line, nil
}

func (p *Panel) claim(key string, h Held) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if other, taken := p.held[key]; taken {
		return fmt.Errorf("open serial port %s: it is %s, which is in use by the line of %s as %s; an instrument has a port of its own: name another one",
			h.Name, h.Path, other.Owner, other.Name)
	}
	if p.held == nil {
		p.held = map[string]Held{}
	}
	p.held[key] = h
	return nil
}

func (p *Panel) release(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, key)
}

// News returns a channel that is closed when a device has come, or may be opened
// now. It is asked for before the device is looked for, so that nothing is missed
// between. The channel of a nil panel is nil.
func (p *Panel) News() <-chan struct{} {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fresh == nil {
		p.fresh = make(chan struct{})
	}
	return p.fresh
}

func (p *Panel) tell() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fresh != nil {
		close(p.fresh)
		p.fresh = nil
	}
}

// Watch tells of devices that come, until ctx ends. Its error says why it cannot;
// lines that wait for a device then look for it twice a second all the same.
func (p *Panel) Watch(ctx context.Context) error {
	dev := p.System.dev()
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s for serial ports: %w", dev, err)
	}
	defer watcher.Close()
	if err := watcher.Add(dev); err != nil {
		return fmt.Errorf("watch %s for serial ports: %w", dev, err)
	}
	p.tell() // of what came before
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, open := <-watcher.Events:
			if !open {
				return fmt.Errorf("watch %s for serial ports: the system has ended it", dev)
			}
			if isNews(event) {
				p.tell()
			}
		case err := <-watcher.Errors: // nil where it has ended, which the other channel tells too
			if err != nil && !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("watch %s for serial ports: %w", dev, err)
			}
			p.tell() // what was lost may have been a port
		}
	}
}

// isNews reports whether something in /dev is a reason to look for devices: one
// has come, or who may open it has changed, which udev does a moment later.
// Whatever is written to any device is told too, and passed over.
func isNews(event fsnotify.Event) bool {
	return event.Has(fsnotify.Create) ||
		event.Has(fsnotify.Chmod) && strings.HasPrefix(filepath.Base(event.Name), "tty")
}
