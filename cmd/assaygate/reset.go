package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/assaygate/assaygate/envelope/spool"
)

// carryOut resets the box where that was asked for. The caller has read nothing
// of it yet. Where it fails, the gateway must not start: neither the old
// configuration nor the new may meet what is half reset. It is safe to cut off at
// any moment, and goes on when it is called again.
//
// What is set aside comes first: as long as the old configuration is there, the
// old store is no stranger's.
func (r resetting) carryOut(ctx context.Context) error {
	if r.config == "" {
		return nil
	}
	q, err := r.requested()
	if err != nil || q == nil {
		return err
	}
	if err := r.reset(ctx, *q); err != nil {
		return fmt.Errorf("factory reset: %w; it goes on at the next start", err)
	}
	return nil
}

func (r resetting) reset(ctx context.Context, q resetRequest) error {
	if q.Plan == nil {
		plan, err := r.plan(ctx, q)
		if err != nil {
			return err
		}
		if plan.nothing() {
			r.log.Info("a factory reset was asked for, and there is nothing to reset", "by", q.By)
			return r.forget(ctx)
		}
		q.Plan = &plan
		if err := r.write(ctx, resetFile, q); err != nil {
			return err
		}
	}
	r.log.Warn("factory reset: configuration, secrets and owner are removed", "by", q.By, "signed", q.Signed)
	for _, store := range q.Plan.Stores {
		if err := r.sealStore(ctx, store, q); err != nil {
			return err
		}
	}
	for _, files := range q.Plan.Files {
		if err := r.setAside(ctx, files); err != nil {
			return err
		}
	}
	if err := r.wipe(ctx); err != nil {
		return err
	}
	if err := r.write(ctx, lastResetFile, q.Plan.Last); err != nil {
		return err
	}
	if err := r.forget(ctx); err != nil {
		return err
	}
	r.log.Warn("factory reset done: the box is as new", "owner", q.Plan.Owner, "sealed_stores", len(q.Plan.Stores))
	return nil
}

// sealStore sets a store aside. One that stands aside already is done; one that
// somebody has taken away meanwhile is not missed.
func (r resetting) sealStore(ctx context.Context, store spool.Moved, q resetRequest) error {
	if there(store.To) || !there(store.From) {
		return r.do(ctx, operation{kind: opSync, path: filepath.Dir(store.To)})
	}
	sealed := spool.Sealed{Owner: q.Plan.Owner, Box: q.Plan.Box, At: q.At, By: q.By}
	if store == q.Plan.Stores[0] {
		sealed.Beside = q.Plan.Files
	}
	text, err := json.Marshal(sealed)
	if err != nil {
		return err
	}
	if err := r.do(ctx, operation{kind: opSeal, path: store.From, content: text}); err != nil {
		return err
	}
	if r.holdsConfig(store.From) {
		r.log.Error("the store is sealed where it stands, for the configuration is in its directory; to open it, its owner moves its files elsewhere", "directory", store.From)
		return nil
	}
	for _, step := range []operation{
		{kind: opRename, path: store.From, to: store.To},
		{kind: opSync, path: filepath.Dir(store.To)},
	} {
		if err := r.do(ctx, step); err != nil {
			return err
		}
	}
	r.log.Warn("the store is sealed and set aside: its owner's signed stick opens it, or a person erases it", "directory", store.To, "owner", q.Plan.Owner)
	return nil
}

// holdsConfig reports whether the configuration stands in the directory or below
// it, so that it would move too.
func (r resetting) holdsConfig(directory string) bool {
	config, err := filepath.Abs(r.config)
	if err != nil {
		return true
	}
	below, err := filepath.Rel(directory, config)
	return err != nil || filepath.IsLocal(below)
}

// setAside moves captures, which hold what the store holds.
func (r resetting) setAside(ctx context.Context, files spool.Moved) error {
	names, err := capturesIn(files.From)
	if err != nil {
		return err
	}
	steps := []operation{{kind: opMake, path: files.To}}
	for _, name := range names {
		steps = append(steps, operation{kind: opRename, path: filepath.Join(files.From, name), to: filepath.Join(files.To, name)})
	}
	for _, directory := range []string{files.To, files.From, filepath.Dir(files.To)} {
		steps = append(steps, operation{kind: opSync, path: directory})
	}
	for _, step := range steps {
		if err := r.do(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// wipe removes what is the old owner's.
func (r resetting) wipe(ctx context.Context) error {
	paths, err := r.wipes()
	if err != nil {
		return err
	}
	if info, err := os.Lstat(r.config); err == nil && info.Mode()&os.ModeSymlink != 0 {
		r.log.Warn("the configuration is a symbolic link: the link is removed, and what it points to stays", "file", r.config)
	}
	directories := append([]string{filepath.Dir(r.config)}, r.ownSiblings()...)
	for _, path := range paths {
		if err := r.do(ctx, operation{kind: opRemove, path: path}); err != nil {
			return err
		}
	}
	for _, directory := range directories {
		if err := r.do(ctx, operation{kind: opSync, path: directory}); err != nil {
			return err
		}
	}
	return nil
}

// forget removes the request, which is the end of the reset.
func (r resetting) forget(ctx context.Context) error {
	if err := r.do(ctx, operation{kind: opRemove, path: r.beside(resetFile)}); err != nil {
		return err
	}
	return r.do(ctx, operation{kind: opSync, path: filepath.Dir(r.config)})
}

// there reports whether something has that name.
func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
