package port

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Two names of one device are found to be that, whichever is opened first, and
// each line is told of the other.
func TestPanelRefusesASecondLine(t *testing.T) {
	master, device := pty(t)
	link := filepath.Join(t.TempDir(), "analyser")
	if err := os.Symlink(device, link); err != nil {
		t.Fatal(err)
	}
	panel := &Panel{}
	resolve := func(string) (string, error) { return link, nil }
	open := func(owner, name string) (Line, error) {
		return Open(t.Context(), Settings{Serial: &Serial{Port: name}, Resolve: resolve, Panel: panel, Owner: owner})
	}
	first, err := open("xn", "usb:1-1.3")
	if err != nil {
		t.Fatal(err)
	}
	resolve = DevicePath
	for range 2 {
		_, err = open("cobas", device)
		if err == nil || !strings.Contains(err.Error(), "open serial port "+device+": it is "+device+", which is in use by the line of xn as usb:1-1.3; ") {
			t.Errorf("error %v", err)
		}
	}
	if held := panel.Held(); len(held) != 1 || held[0].Owner != "xn" || held[0].Name != "usb:1-1.3" || held[0].Path != link {
		t.Errorf("held %+v", held)
	} else if _, err := held[0].Modem(); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), link) {
		t.Errorf("modem lines of a pseudo terminal: %v", err)
	}
	first.SetReadDeadline(time.Now().Add(10 * time.Second))
	carry(t, first, master, []byte{6}) // it was not disturbed
	carry(t, master, first, []byte{5})
	if err := first.Close(); err != nil || len(panel.Held()) != 0 {
		t.Errorf("closed with %v; held %+v", err, panel.Held())
	}
	if err := first.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed again: %v", err)
	}
	second, err := open("cobas", device)
	if err != nil {
		t.Fatal(err)
	}
	first.Close() // is no longer its own to release
	if held := panel.Held(); len(held) != 1 || held[0].Owner != "cobas" {
		t.Errorf("held %+v", held)
	}
	second.Close()
	if _, err := open("cobas", device+"0"); err == nil || len(panel.held) != 0 {
		t.Errorf("what cannot be opened is held: %v, %v", err, panel.held)
	}
	var none *Panel
	if none.Held() != nil || none.News() != nil {
		t.Error("no panel holds something")
	}
}

// A port of this process that the panel does not know of is nobody's that could be named.
func TestInUseByNobodyKnown(t *testing.T) {
	_, device := pty(t)
	openSerial(t, Serial{Port: device})
	_, err := OpenSerial(t.Context(), Serial{Port: device})
	if !errors.Is(err, errInUse) || !strings.Contains(err.Error(), "fuser -v "+device) {
		t.Errorf("error %v", err)
	}
}

func TestPanelWatch(t *testing.T) {
	dev := t.TempDir()
	panel := &Panel{System: System{Dev: dev}}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	begun := panel.News()
	go func() { ended <- panel.Watch(ctx) }()
	wait := func(what string, news <-chan struct{}) {
		t.Helper()
		select {
		case <-news:
		case <-time.After(time.Minute):
			t.Fatalf("%s is no news", what)
		}
	}
	wait("that it has begun", begun)
	node := filepath.Join(dev, "ttyUSB0")
	for what, happens := range map[string]func() error{
		"a node":         func() error { return errors.Join(os.RemoveAll(node), os.WriteFile(node, nil, 0)) },
		"a link of udev": func() error { return os.Symlink(node, filepath.Join(dev, "analyser")) },
	} {
		news := panel.News()
		if err := happens(); err != nil {
			t.Fatal(err)
		}
		wait(what, news)
	}
	news := panel.News()
	if err := os.Chmod(node, 0o660); err != nil {
		t.Fatal(err)
	}
	wait("that it may be opened", news)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	err := (&Panel{System: System{Dev: dev + "/none"}}).Watch(t.Context())
	if err == nil || !strings.Contains(err.Error(), "watch "+dev+"/none for serial ports") {
		t.Errorf("error %v", err)
	}
}

func TestIsNews(t *testing.T) {
	for _, test := range []struct {
		name string
		op   fsnotify.Op
		want bool
	}{
		{"/dev/ttyUSB0", fsnotify.Create, true},
		{"/dev/analyser", fsnotify.Create, true},
		{"/dev/ttyUSB0", fsnotify.Chmod, true},
		{"/dev/null", fsnotify.Chmod, false},
		{"/dev/null", fsnotify.Write, false},
		{"/dev/ttyUSB0", fsnotify.Write, false}, // each of our own replies
		{"/dev/ttyUSB0", fsnotify.Remove, false},
	} {
		if got := isNews(fsnotify.Event{Name: test.name, Op: test.op}); got != test.want {
			t.Errorf("%s %s: %v", test.op, test.name, got)
		}
	}
}

// A device keeps its name from the next one for as long as somebody has it open:
// when a line ends, it is closed before it is looked for again.
func TestRedialLetsGoBeforeItLooksAgain(t *testing.T) {
	master, device := pty(t)
	panel := &Panel{}
	ctx, stop := context.WithCancel(t.Context())
	tries := 0
	err := Redial(ctx, func(ctx context.Context) (Line, error) {
		if tries++; tries == 2 {
			defer stop()
			users, _, err := System{}.Users(device)
			if held := panel.Held(); err != nil || len(held) != 0 || len(users) != 0 || ourOwn(t, device) != 0 {
				t.Errorf("held by %+v, %+v and %d of our own files, %v", held, users, ourOwn(t, device), err)
			}
			return nil, errors.New("none")
		}
		return Open(ctx, Settings{Serial: &Serial{Port: device}, Panel: panel})
	}, func(_ context.Context, line Line) {
		if ourOwn(t, device) == 0 {
			t.Error("the line is not open")
		}
		master.Close()
		if _, err := io.ReadAll(line); !errors.Is(err, ErrUnplugged) {
			t.Errorf("unplugged: %v", err)
		}
	}, nil, panel.News)
	if !errors.Is(err, context.Canceled) || tries != 2 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

// ourOwn counts the files of this process that are the device.
func ourOwn(t *testing.T, device string) (n int) {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		// A terminal that hung up reads "/dev/pts/5 (deleted)".
		if target, err := os.Readlink("/proc/self/fd/" + file.Name()); err == nil && strings.HasPrefix(target+" ", device+" ") {
			n++
		}
	}
	return n
}

// Without a resolver of its own a line is looked up by its panel, and opened by
// the name that its adapter's socket has.
func TestPanelLooksUp(t *testing.T) {
	tr := laptop(t)
	tr.plug("ttyUSB0", "1-1.3", "1.0", "0", ch340)
	master, device := pty(t)
	if err := errors.Join(os.Remove(tr.dev("ttyUSB0")), os.Symlink(device, tr.dev("ttyUSB0"))); err != nil {
		t.Fatal(err)
	}
	panel := &Panel{System: tr.System}
	line, err := Open(t.Context(), Settings{Serial: &Serial{Port: "usb:1-1.3"}, Panel: panel, Owner: "xn"})
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	carry(t, line, master, []byte{6})
	_, err = Open(t.Context(), Settings{Serial: &Serial{Port: "usb:1-1.4"}, Panel: panel, Owner: "xn"})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "there are usb:1-1.3 (") {
		t.Errorf("error %v", err)
	}
	if devices, err := panel.Devices(); err != nil || len(devices) != 1 {
		t.Errorf("%v, %v", devices, err)
	}
}
