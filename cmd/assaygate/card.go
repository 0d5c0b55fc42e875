package main

import (
	"context"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/envelope/spool"
)

// lookAtCard is how often it is looked whether the file system has counted
// errors.
const lookAtCard = 30 * time.Second

// card is how the card of the store fares.
func (d *daemon) card() board.Card { return d.board.Card(d.config().Spool.Directory) }

// watchCard says what a person should know of the card before it fails, once for
// each change, until ctx ends.
func (d *daemon) watchCard(ctx context.Context) {
	ticker := time.NewTicker(lookAtCard)
	defer ticker.Stop()
	var said board.Card
	for {
		d.sayCard(d.card(), &said)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sayCard logs what has become worse since it was said last. An fsck puts the
// count of errors back.
func (d *daemon) sayCard(now board.Card, said *board.Card) {
	log := d.log.With("device", now.Device, "directory", d.config().Spool.Directory)
	if now.Errors > said.Errors {
		log.Error("the file system has found errors on the card: check it with fsck, and replace the card if they come again",
			"errors", now.Errors, "last", now.LastError)
	}
	if now.ReadOnly && !said.ReadOnly && d.brokenData() == nil { // else that was said
		remedy := "unmount it, check it with fsck and mount it again, or replace the card"
		if state := d.dataState(); state.State != "" {
			remedy = storeRemedy(spool.CardReadOnly, state)
		}
		log.Error("the file system is read-only: nothing can be stored", "remedy", remedy)
	}
	if now.EndsSoon && !said.EndsSoon {
		log.Warn("the card has nearly used up its spare blocks: replace it soon")
	}
	*said = now
}
