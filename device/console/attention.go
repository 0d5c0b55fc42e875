package console

import (
	"fmt"
	"net/url"
)

// need is something that a person has to see to, and the page that helps.
type need struct{ Text, Link, Page string }

// needs is what of all that the overview shows wants a person, the layers nearest
// to the instrument first.
func (v *overviewView) needs() (list []need) {
	for _, text := range v.Notes {
		list = append(list, need{Text: text})
	}
	if v.Away != "" {
		list = append(list, need{"There is no store: " + v.Away, "/support", "Support"})
	}
	for _, i := range v.Instruments {
		check := "/commission/" + url.PathEscape(i.Name)
		switch {
		case !i.Up && i.Problem != "":
			list = append(list, need{fmt.Sprintf("%s is down: %s.", i.Name, i.Problem), check, "Check " + i.Name})
		case !i.Up:
			list = append(list, need{i.Name + " is down.", check, "Check " + i.Name})
		case i.Noisy:
			list = append(list, need{i.Name + " is noisy: check cable, ground, baud rate and parity.", check, "Check " + i.Name})
		}
	}
	for _, d := range v.Status.Destinations {
		of := "/messages?destination=" + url.QueryEscape(d.Name)
		if d.Active && d.Held != "" {
			list = append(list, need{fmt.Sprintf("%s takes nothing: %s.", d.Name, d.Held), of + "&state=held", "Messages that wait"})
		}
		if d.Parked > 0 {
			list = append(list, need{fmt.Sprintf("Parked for %s, until a person decides: %d.", d.Name, d.Parked), of + "&state=parked", "Parked messages"})
		}
		if d.Unconfirmed > 0 {
			list = append(list, need{fmt.Sprintf("Delivered to %s, and not found there: %d.", d.Name, d.Unconfirmed), of + "&state=unconfirmed", "Unconfirmed messages"})
		}
	}
	for _, f := range v.Facts {
		if f.Bad && v.Away == "" {
			list = append(list, need{Text: f.Name + ": " + f.Value + "."})
		}
	}
	return list
}
