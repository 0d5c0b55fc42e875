package imagetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// The box sees the LIMS, and the server of releases, at these addresses. The emulator gives each connection there to a process of
// its own, which is this program again; so the box has no other way out.
const (
	limsURL         = "http://10.0.2.100/senaite"
	releasesAddress = "10.0.2.101"
	pipeVariable    = "ASSAYGATE_IMAGETEST_PIPE"
)

// pipe connects standard input and output with an address.
func pipe(address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	go func() {
		_, _ = io.Copy(conn, os.Stdin)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(os.Stdout, conn)
}

// arrival is one message as the LIMS has it.
type arrival struct{ sample, id string }

func arrivals(lims *senaitetest.Server) (list []arrival, err error) {
	for _, push := range lims.Pushes() {
		var message struct {
			Assaygate struct {
				ID     string `json:"id"`
				Sample string `json:"sample_id"`
			} `json:"assaygate"`
		}
		if err := json.Unmarshal([]byte(push.Message), &message); err != nil {
			return nil, err
		}
		list = append(list, arrival{message.Assaygate.Sample, message.Assaygate.ID})
	}
	return list, nil
}
