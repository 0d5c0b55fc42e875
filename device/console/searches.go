package console

import (
	"context"
	"sync"
)

// mostSearches is how many searches of one person go on at a time. The store answers
// four at a time, and deliveries ask it too.
const mostSearches = 2

// searches are those that go on, by person.
type searches struct {
	mu sync.Mutex
	of map[string]chan struct{}
}

// enter waits until the person may have one more search, which leave ends. Its error
// is that of ctx.
func (s *searches) enter(ctx context.Context, who string) (leave func(), err error) {
	s.mu.Lock()
	if s.of == nil {
		s.of = map[string]chan struct{}{}
	}
	if s.of[who] == nil {
		s.of[who] = make(chan struct{}, mostSearches)
	}
	places := s.of[who]
	s.mu.Unlock()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
