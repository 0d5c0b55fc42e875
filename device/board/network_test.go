package board

import (
	"net"
	"path/filepath"
	"reflect"
	"testing"
)

func TestInterfaces(t *testing.T) {
	s := tree(t, interfaces(map[string]string{
		"sys/class/net/eth0/operstate": "up\n",
		"sys/class/net/eth1/operstate": "down\n",
	}))
	var got []Interface
	for _, one := range s.Interfaces() {
		one.Addresses = nil // of this machine, should it have such names
		got = append(got, one)
	}
	want := []Interface{
		{Name: "eth0", MAC: "dc:a6:32:01:02:03", Up: true},
		{Name: "eth1", MAC: "dc:a6:32:01:02:04"},
		{Name: "enx001122334455", MAC: "00:11:22:33:44:55"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if got := tree(t, nil).Interfaces(); got != nil {
		t.Errorf("%+v where nothing is told", got)
	}
}

// Addresses are those of the running system.
func TestAddresses(t *testing.T) {
	all, err := net.Interfaces()
	if err != nil {
		t.Skip(err)
	}
	for _, one := range all {
		if one.Flags&net.FlagLoopback == 0 {
			continue
		}
		s := tree(t, map[string]string{
			"sys/devices/of/hardware": "", filepath.Join("sys/class/net", one.Name, "device"): "-> ../../../devices/of",
		})
		list := s.Interfaces()
		if len(list) != 1 || len(list[0].Addresses) == 0 || !list[0].Addresses[0].Addr().IsLoopback() {
			t.Errorf("%+v", list)
		}
		return
	}
	t.Skip("*** this machine has no loopback interface ***")
}
