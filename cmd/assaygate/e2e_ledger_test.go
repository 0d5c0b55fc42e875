//go:build unix

package main

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ledger is what a sender was promised: the control ids of acknowledged
// messages.
type ledger struct {
	mu  sync.Mutex
	ids []string
}

func (l *ledger) add(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids = append(l.ids, id)
}

func (l *ledger) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.ids...)
}

// sendUntil sends numbered messages, each until it is acknowledged, as
// instruments do.
func sendUntil(stopped *atomic.Bool, promised *ledger, address, sender string, isHL7 bool) {
	for n := 0; !stopped.Load(); {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			time.Sleep(10 * time.Millisecond) // the gateway is down: dial again
			continue
		}
		answers := hl7Answers(conn)
		for !stopped.Load() {
			id := fmt.Sprintf("%s-%d", sender, n)
			if isHL7 && !sendHL7(conn, answers, hl7Text(sender, id, id)) || !isHL7 && !sendASTM(conn, astmText(sender, id, id)) {
				break
			}
			promised.add(id)
			n++
		}
		conn.Close()
	}
}
