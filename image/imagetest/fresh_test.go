package imagetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// freshCase: a box that nobody has configured answers nobody, and waits for a stick.
func (b *box) freshCase() error {
	if err := b.up(); err != nil {
		return err
	}
	if err := b.unanswered(mllpPort, consolePort, adminPort, sshPort); err != nil {
		return err
	}
	if _, err := b.do("test ! -e /data/config/assaygate.yaml"); err != nil {
		return fmt.Errorf("the box has a configuration already: %w", err)
	}
	return nil
}

// unanswered dials ports of the box, each until its first packet was sent twice: the box has had the first one then, and
// has not said a word to it.
func (b *box) unanswered(ports ...string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, port := range ports {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.ports[port]) // the emulator answers this itself
		if err != nil {
			return err
		}
		defer conn.Close()
	}
	before := len(ports)
	return b.poll(momentLimit, "second packet to each port", func() (bool, error) {
		asked, answered, err := b.handshakes()
		for _, port := range ports {
			if answered[port] > 0 {
				err = errors.Join(err, fmt.Errorf("port %s of the box answers", port))
			}
		}
		done := !slices.ContainsFunc(ports, func(port string) bool { return asked[port] < 2 })
		return done && before > 0, err
	})
}

// handshakes counts, by the box's ports, the packets that opened connections, and those that the box sent back.
func (b *box) handshakes() (asked, answered map[string]int, err error) {
	data, err := os.ReadFile(filepath.Join(b.directory, "packets.pcap"))
	if err != nil || len(data) < 24 {
		return nil, nil, err
	}
	asked, answered = map[string]int{}, map[string]int{}
	for data = data[24:]; len(data) >= 16; {
		size := int(binary.LittleEndian.Uint32(data[8:]))
		if len(data) < 16+size {
			break // it is being written
		}
		packet := data[16 : 16+size]
		data = data[16+size:]
		const ethernet, ipv4, tcp = 14, 20, 20
		if size < ethernet+ipv4+tcp || binary.BigEndian.Uint16(packet[12:]) != 0x0800 || packet[ethernet+9] != 6 {
			continue
		}
		segment := packet[ethernet+int(packet[ethernet]&15)*4:]
		if len(segment) < tcp {
			continue
		}
		from, to, syn := binary.BigEndian.Uint16(segment), binary.BigEndian.Uint16(segment[2:]), segment[13]&0x12 == 2
		if source := net.IP(packet[ethernet+12 : ethernet+16]).String(); source == "10.0.2.15" {
			answered[fmt.Sprint(from)]++
		} else if syn {
			asked[fmt.Sprint(to)]++
		}
	}
	return asked, answered, nil
}

// listening are the ports that processes of the box listen on, beyond the box itself.
func (b *box) listening() ([]string, error) {
	text, err := b.do("cat /proc/net/tcp /proc/net/tcp6")
	if err != nil {
		return nil, err
	}
	var ports []string
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != "0A" {
			continue
		}
		address, port, _ := strings.Cut(fields[1], ":")
		if strings.HasSuffix(address, "7F") && len(address) == 8 || strings.HasSuffix(address, "01000000") && len(address) == 32 {
			continue // loopback
		}
		var number int
		if _, err := fmt.Sscanf(port, "%x", &number); err != nil {
			return nil, err
		}
		ports = append(ports, fmt.Sprint(number))
	}
	slices.Sort(ports)
	return slices.Compact(ports), nil
}
