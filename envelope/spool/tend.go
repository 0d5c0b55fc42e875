package spool

import (
	"context"
	"errors"
	"time"
)

// task is something that keeps the store in order, done again and again.
type task struct {
	name  string
	every time.Duration
	run   func(context.Context) error
}

// tasks are done in this order where several are due.
func (s *Spool) tasks() []task {
	return []task{
		{"watching the clock", lookAtClock, s.watchClock},
		{"reading everything again", scrubEvery, s.scrubSome},
		{"room", watchEvery, s.keepRoom},
		{"retention", time.Minute, s.retain},
	}
}

// Tend keeps the store in order until ctx ends or the store is closed. What
// fails is logged once, and tried again when it is due the next time.
func (s *Spool) Tend(ctx context.Context) {
	var ended func()
	s.moves, ended = s.watch("upkeep")
	defer ended()
	tasks := s.tasks()
	due := make([]time.Time, len(tasks)) // at once
	failing := make([]bool, len(tasks))
	for {
		next := time.Now().Add(time.Hour)
		for i, task := range tasks {
			s.moves()
			if !time.Now().Before(due[i]) {
				err := task.run(ctx)
				if ctx.Err() != nil || errors.Is(err, ErrClosed) {
					return
				}
				if err != nil && !failing[i] {
					s.log.Error("the store cannot be kept in order; trying on", "task", task.name, "error", err)
				}
				failing[i] = err != nil
				due[i] = time.Now().Add(task.every)
			}
			if due[i].Before(next) {
				next = due[i]
			}
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-s.ended():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		select {
		case <-s.ended():
			return
		default:
		}
	}
}
