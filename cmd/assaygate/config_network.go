package main

import (
	"fmt"
	"os"

	"github.com/assaygate/assaygate/device/network"
)

// NetworkSettings is the `network` section.
type NetworkSettings = network.Settings

// boardData is there on the image and nowhere else.
const boardData = "/usr/share/assaygate/board"

// onImage reports whether this host is the box, whose network is ours to set.
func onImage(boardData string) bool {
	_, err := os.Stat(boardData)
	return err == nil
}

// networkRefused says why the `network` section is not carried out on a host
// that is not the box. What it keeps off an interface is then kept off by
// nothing, so that a server that only the firewall protects stays closed.
func (c Config) networkRefused() []inactive {
	list := []inactive{{Where: "network", Host: true, What: "refused: this host is not the box (it has no " + boardData + "), and its network is left as it is; set it with the host's own tools, and remove the section"}}
	for _, one := range c.reached() {
		if len(c.Network.Interfaces) > 1 && one.Part != network.Instruments && !loopback(one.Address) {
			list = append(list, inactive{Where: "network.interfaces", What: "on this host nothing keeps it off an interface that does not serve it", Closes: string(one.Part), Host: true})
		}
	}
	return list
}

// validateNetwork finds what listens where the network section lets nobody
// reach it.
func (c Config) validateNetwork() []error {
	if c.Network == nil {
		return nil
	}
	var errs []error
	unserved := func(key string, part network.Part, address string) {
		if address != "" && !loopback(address) && len(c.Network.ServedOn(part, address)) == 0 {
			errs = append(errs, fmt.Errorf("%s: no interface serves it, so that nobody could reach it; listen on every address or a literal one, and name an interface, for example network.interfaces.eth0.serves: [%s]", key, part))
		}
	}
	for i, one := range c.Instruments {
		key, address := one.listenKey()
		unserved(fmt.Sprintf("instruments[%d].%s", i, key), network.Instruments, address)
	}
	unserved("console.listen", network.Console, c.Console.Listen)
	unserved("admin.listen", network.Admin, c.Admin.Listen)
	return errs
}

// reached are the ports that the configuration opens.
func (c Config) reached() []network.Listener {
	var list []network.Listener
	for _, one := range c.Instruments {
		if _, address := one.listenKey(); address != "" {
			list = append(list, network.Listener{Name: one.Name, Part: network.Instruments, Address: address, From: one.networks()})
		}
	}
	if c.Console.Listen != "" {
		list = append(list, network.Listener{Name: consoleServer, Part: network.Console, Address: c.Console.Listen})
	}
	if c.Admin.Listen != "" {
		one := network.Listener{Name: adminServer, Part: network.Admin, Address: c.Admin.Listen}
		for _, from := range c.Admin.AllowFrom {
			one.From = append(one.From, from.Prefix)
		}
		list = append(list, one)
	}
	return list
}
