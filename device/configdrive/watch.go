package configdrive

import (
	"log/slog"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// watcher tells of changes in the stick's directory and in the one that holds
// it: a mount point comes and goes. It is a help only: the poll finds what the
// system does not tell.
type watcher struct {
	directory string
	inner     *fsnotify.Watcher // nil where the system tells of nothing
}

func newWatcher(directory string, log *slog.Logger) *watcher {
	inner, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("the stick's directory is looked at every few seconds only", "error", err)
	}
	return &watcher{directory, inner}
}

// refresh watches the directories as they are now.
func (w *watcher) refresh() {
	if w.inner == nil {
		return
	}
	// Either may not be there, or cannot be watched: then the poll has to do.
	_ = w.inner.Add(filepath.Dir(w.directory))
	_ = w.inner.Add(w.directory)
}

func (w *watcher) changes() (<-chan fsnotify.Event, <-chan error) {
	if w.inner == nil {
		return nil, nil
	}
	return w.inner.Events, w.inner.Errors
}

func (w *watcher) close() error {
	if w.inner == nil {
		return nil
	}
	return w.inner.Close()
}
