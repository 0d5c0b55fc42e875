package imagetest

import (
	"encoding/json"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"
)

// monitor gives orders to the emulator, in QMP.
type monitor struct {
	mu     sync.Mutex
	conn   net.Conn
	from   *json.Decoder
	events []event // those nobody has waited for
}

type event struct {
	Event string
}

type answer struct {
	event
	Return json.RawMessage
	Error  *struct{ Class, Desc string }
}

func openMonitor(socket string) (*monitor, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	m := &monitor{conn: conn, from: json.NewDecoder(conn)}
	var greeting json.RawMessage
	if err = m.from.Decode(&greeting); err == nil {
		_, err = m.order("qmp_capabilities", nil)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return m, nil
}

// order gives one order and returns the answer.
func (m *monitor) order(command string, arguments map[string]any) (json.RawMessage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	order := map[string]any{"execute": command}
	if arguments != nil {
		order["arguments"] = arguments
	}
	text, err := json.Marshal(order)
	if err != nil {
		return nil, err
	}
	if err := m.conn.SetDeadline(time.Now().Add(momentLimit)); err != nil {
		return nil, err
	}
	if _, err := m.conn.Write(append(text, '\n')); err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	for {
		var a answer
		if err := m.from.Decode(&a); err != nil {
			return nil, fmt.Errorf("%s: %w", command, err)
		}
		switch {
		case a.Event != "":
			m.events = append(m.events, a.event)
		case a.Error != nil:
			return nil, fmt.Errorf("%s: %s", command, a.Error.Desc)
		default:
			return a.Return, nil
		}
	}
}

// await waits for an event. It asks for something again and again, for events are read with the answers.
func (m *monitor) await(name string, within time.Duration) error {
	for end := time.Now().Add(within); time.Now().Before(end); {
		if _, err := m.order("query-status", nil); err != nil {
			return err
		}
		if m.had(name) {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("no event %s within %v", name, within)
}

// had says whether such an event has come, and forgets it.
func (m *monitor) had(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, e := range m.events {
		if e.Event == name {
			m.events = append(m.events[:i:i], m.events[i+1:]...)
			return true
		}
	}
	return false
}

// words gives an order to the monitor for people, for what QMP has no order for.
func (m *monitor) words(line string) (string, error) {
	raw, err := m.order("human-monitor-command", map[string]any{"command-line": line})
	if err != nil {
		return "", err
	}
	var text string
	err = json.Unmarshal(raw, &text)
	return text, err
}

// forwards are the ports of this machine by the box's that they lead to.
func (m *monitor) forwards() (map[string]string, error) {
	text, err := m.words("info usernet")
	if err != nil {
		return nil, err
	}
	ports := map[string]string{}
	for _, row := range regexp.MustCompile(`TCP\[HOST_FORWARD\]\s+\d+\s+(\S+)\s+(\d+)\s+\S+\s+(\d+)`).FindAllStringSubmatch(text, -1) {
		ports[row[3]] = net.JoinHostPort(row[1], row[2])
	}
	if len(ports) == 0 {
		return nil, fmt.Errorf("the emulator forwards no ports: %s", strings.TrimSpace(text))
	}
	return ports, nil
}
