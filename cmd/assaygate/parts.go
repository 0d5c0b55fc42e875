package main

import (
	"context"
	"reflect"
	"sync"
)

// parts are what runs beside each other and is started and stopped one by one,
// by one goroutine: the lines, the destinations, the servers.
type parts struct {
	ctx     context.Context // ends all of them
	running map[string]*part
	all     sync.WaitGroup
}

// part is one of them.
type part struct {
	made  any // of what of the configuration: of another it is another part
	stop  context.CancelFunc
	ended chan struct{}
}

func newParts(ctx context.Context) *parts {
	return &parts{ctx: ctx, running: map[string]*part{}}
}

// start runs a part until it is stopped or all are.
func (p *parts) start(name string, made any, run func(ctx context.Context)) {
	ctx, stop := context.WithCancel(p.ctx)
	one := &part{made: made, stop: stop, ended: make(chan struct{})}
	p.running[name] = one
	p.all.Go(func() {
		defer close(one.ended)
		defer stop()
		run(ctx)
	})
}

// is reports whether the part runs and was made of that.
func (p *parts) is(name string, made any) bool {
	one := p.running[name]
	return one != nil && reflect.DeepEqual(one.made, made)
}

// keepOnly stops every part that is not among the wanted ones, or was made of
// something else, and returns their names at once; the caller waits for them with
// wait. wanted are what they are made of, by name.
func (p *parts) keepOnly(wanted map[string]any) (stopped []string, wait func()) {
	var ends []chan struct{}
	for name, one := range p.running {
		if made, still := wanted[name]; still && p.is(name, made) {
			continue
		}
		one.stop()
		ends = append(ends, one.ended)
		stopped = append(stopped, name)
		delete(p.running, name)
	}
	return stopped, func() {
		for _, ended := range ends {
			<-ended
		}
	}
}

// wait returns when all have ended.
func (p *parts) wait() { p.all.Wait() }
