package imagetest

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// shell is the root shell of the debug image, on a port that only an emulator has.
type shell struct {
	mu    sync.Mutex
	conn  net.Conn
	said  *transcript
	place int
	count int
}

func openShell(socket string, log *os.File) (*shell, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	s := &shell{conn: conn, said: newTranscript("the debug shell", log)}
	go s.said.follow(conn)
	return s, nil
}

// run runs a command on the box, and returns what it printed and how it ended.
func (s *shell) run(within time.Duration, command string) (output string, status int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	// The marker is not in the command as it is typed: a terminal may echo that.
	begin, end := fmt.Sprintf("@begin-%d@", s.count), fmt.Sprintf("@end-%d ", s.count)
	line := fmt.Sprintf("printf '@%%s-%d@' begin; {\n%s\n} </dev/null 2>&1; printf '@%%s-%d %%s@\\n' end $?\n", s.count, command, s.count)
	if _, err := s.conn.Write([]byte(line)); err != nil {
		return "", 0, err
	}
	match, next, err := s.said.wait(within, s.place, `(?s)`+begin+`(.*)`+end+`(\d+)@`)
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w", command, err)
	}
	s.place = next
	status, err = strconv.Atoi(match[2])
	return match[1], status, err
}
