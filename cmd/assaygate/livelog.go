package main

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
)

// liveLog is a slog.Handler whose level and format may change while it is in
// use, also in the loggers that were made of it.
type liveLog struct {
	json, text slog.Handler
	settings   *logKnobs
}

// logKnobs are what all handlers of one log share.
type logKnobs struct {
	level  slog.LevelVar
	asText atomic.Bool
}

// newLog writes to stderr: journald takes it from there.
func newLog(settings LogSettings, to io.Writer) *slog.Logger {
	knobs := &logKnobs{}
	options := &slog.HandlerOptions{Level: &knobs.level}
	log := slog.New(liveLog{slog.NewJSONHandler(to, options), slog.NewTextHandler(to, options), knobs})
	setLog(log, settings)
	return log
}

// setLog changes a log of newLog.
func setLog(log *slog.Logger, settings LogSettings) {
	if live, is := log.Handler().(liveLog); is {
		live.settings.level.Set(settings.slogLevel())
		live.settings.asText.Store(settings.Format == "text")
	}
}

func (l liveLog) now() slog.Handler {
	if l.settings.asText.Load() {
		return l.text
	}
	return l.json
}

// Enabled implements slog.Handler.
func (l liveLog) Enabled(ctx context.Context, level slog.Level) bool {
	return l.now().Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l liveLog) Handle(ctx context.Context, r slog.Record) error { return l.now().Handle(ctx, r) }

// WithAttrs implements slog.Handler.
func (l liveLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return liveLog{l.json.WithAttrs(attrs), l.text.WithAttrs(attrs), l.settings}
}

// WithGroup implements slog.Handler.
func (l liveLog) WithGroup(name string) slog.Handler {
	return liveLog{l.json.WithGroup(name), l.text.WithGroup(name), l.settings}
}
