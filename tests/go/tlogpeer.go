// Command tlogpeer is an independent client of transparency logs: it knows Go's own packages
// golang.org/x/mod/sumdb/note and tlog, and nothing of ours. It reads a question as JSON on its standard input and
// answers as JSON on its standard output.
//
//	check DIR VKEY   open DIR/checkpoint by VKEY, read the tree out of the tiles under DIR, hash every entry
//	proofs           judge proofs that somebody else made
//	make             make a key, tree heads, proofs and tiles over leaves of its own
package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

// A proofJSON is a record's proof (Old is its index, Leaf its hash) or a tree's (Old is the smaller size).
type proofJSON struct {
	Kind string   `json:"kind"`
	Size int64    `json:"size"`
	Root string   `json:"root"`
	Old  int64    `json:"old"`
	Leaf string   `json:"leaf"`
	Path []string `json:"path"`
}

// folder serves the tiles below it. The sumdb names the height in a tile's path, C2SP does not.
type folder string

func (f folder) Height() int { return tileHeight }

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight), "tile/", 1)
		held, err := os.ReadFile(filepath.Join(string(f), path))
		if err != nil {
			return nil, err
		}
		all = append(all, held)
	}
	return all, nil
}

// hashes is a tree's storage in memory.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for at, index := range indexes {
		if index < 0 || index >= int64(len(h)) {
			return nil, fmt.Errorf("no hash %d", index)
		}
		found[at] = h[index]
	}
	return found, nil
}

func main() {
	var answer interface{}
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == "check":
		answer, err = check(os.Args[2], os.Args[3])
	case len(os.Args) == 2 && os.Args[1] == "proofs":
		answer, err = judge()
	case len(os.Args) == 2 && os.Args[1] == "make":
		answer, err = build()
	default:
		err = fmt.Errorf("usage: tlogpeer check DIR VKEY | proofs | make")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		os.Exit(1)
	}
}

func check(dir, vkey string) (interface{}, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return nil, err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return nil, err
	}
	tree, origin, err := treeOf(opened.Text)
	if err != nil {
		return nil, err
	}
	reader := tlog.TileHashReader(tree, folder(dir))
	root, err := tlog.TreeHash(tree.N, reader)
	if err != nil {
		return nil, err
	}
	if root != tree.Hash {
		return nil, fmt.Errorf("the tiles have root %v and the checkpoint %v", root, tree.Hash)
	}
	entries, err := everyEntry(dir, tree.N, reader)
	if err != nil {
		return nil, err
	}
	return map[string]interface{}{
		"origin": origin, "size": tree.N, "root": tree.Hash.String(), "entries": entries,
		"signatures": len(opened.Sigs), "unverified": len(opened.UnverifiedSigs),
	}, nil
}

func treeOf(text string) (tlog.Tree, string, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tlog.Tree{}, "", fmt.Errorf("a checkpoint of %d lines", len(lines)-1)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, "", err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, lines[0], err
}

// everyEntry hashes each entry of each bundle and holds it against the hash of its place in the tree.
func everyEntry(dir string, size int64, reader tlog.HashReader) (int64, error) {
	for start := int64(0); start < size; start += 1 << tileHeight {
		width := size - start
		if width > 1<<tileHeight {
			width = 1 << tileHeight
		}
		tile := tlog.Tile{H: tileHeight, L: 0, N: start >> tileHeight, W: int(width)}
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/0/", tileHeight), "tile/entries/", 1)
		held, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return start, err
		}
		var places []int64
		for at := start; at < start+width; at++ {
			places = append(places, tlog.StoredHashIndex(0, at))
		}
		due, err := reader.ReadHashes(places)
		if err != nil {
			return start, err
		}
		for at := int64(0); at < width; at++ {
			if len(held) < 2 || len(held) < 2+int(binary.BigEndian.Uint16(held)) {
				return start + at, fmt.Errorf("%s ends within entry %d", path, at)
			}
			end := 2 + int(binary.BigEndian.Uint16(held))
			if tlog.RecordHash(held[2:end]) != due[at] {
				return start + at, fmt.Errorf("entry %d is not the leaf of that place", start+at)
			}
			held = held[end:]
		}
		if len(held) != 0 {
			return start, fmt.Errorf("%s has more than its entries", path)
		}
	}
	return size, nil
}

func judge() (interface{}, error) {
	var proofs []proofJSON
	if err := json.NewDecoder(os.Stdin).Decode(&proofs); err != nil {
		return nil, err
	}
	faults := []string{}
	for _, proof := range proofs {
		fault := ""
		if err := judgeOne(proof); err != nil {
			fault = err.Error()
		}
		faults = append(faults, fault)
	}
	return faults, nil
}

func judgeOne(proof proofJSON) error {
	root, err := tlog.ParseHash(proof.Root)
	if err != nil {
		return err
	}
	leaf, err := tlog.ParseHash(proof.Leaf)
	if err != nil {
		return err
	}
	path := []tlog.Hash{}
	for _, text := range proof.Path {
		hash, err := tlog.ParseHash(text)
		if err != nil {
			return err
		}
		path = append(path, hash)
	}
	if proof.Kind == "record" {
		return tlog.CheckRecord(path, proof.Size, root, proof.Old, leaf)
	}
	return tlog.CheckTree(path, proof.Size, root, proof.Old, leaf)
}

// build is asked {name, size, sizes, records: [[index, size]], trees: [[old, new]]}.
func build() (interface{}, error) {
	var asked struct {
		Name    string
		Size    int64
		Sizes   []int64
		Records [][2]int64
		Trees   [][2]int64
	}
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return nil, err
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, asked.Name)
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, err
	}
	var tree hashes
	for at := int64(0); at < asked.Size; at++ {
		more, err := tlog.StoredHashes(at, []byte(fmt.Sprintf("leaf %d", at)), tree)
		if err != nil {
			return nil, err
		}
		tree = append(tree, more...)
	}
	notes := map[int64]string{}
	for _, size := range asked.Sizes {
		root, err := tlog.TreeHash(size, tree)
		if err != nil {
			return nil, err
		}
		text := fmt.Sprintf("%s\n%d\n%s\n", asked.Name, size, base64.StdEncoding.EncodeToString(root[:]))
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			return nil, err
		}
		notes[size] = string(signed)
	}
	proofs, err := prove(tree, asked.Records, asked.Trees)
	if err != nil {
		return nil, err
	}
	tiles, err := tilesOf(tree, asked.Size)
	return map[string]interface{}{"vkey": vkey, "notes": notes, "proofs": proofs, "tiles": tiles}, err
}

func prove(tree hashes, records, trees [][2]int64) ([]proofJSON, error) {
	proofs := []proofJSON{}
	for _, one := range records {
		path, err := tlog.ProveRecord(one[1], one[0], tree)
		if err != nil {
			return nil, err
		}
		proofs = append(proofs, proofJSON{Kind: "record", Old: one[0], Size: one[1], Path: texts(path)})
	}
	for _, one := range trees {
		path, err := tlog.ProveTree(one[1], one[0], tree)
		if err != nil {
			return nil, err
		}
		proofs = append(proofs, proofJSON{Kind: "tree", Old: one[0], Size: one[1], Path: texts(path)})
	}
	return proofs, nil
}

func texts(path []tlog.Hash) []string {
	said := []string{}
	for _, hash := range path {
		said = append(said, hash.String())
	}
	return said
}

// tilesOf is the SHA-256 of each tile of a tree, by its C2SP path.
func tilesOf(tree hashes, size int64) (map[string]string, error) {
	found := map[string]string{}
	for _, tile := range tlog.NewTiles(tileHeight, 0, size) {
		width := (size >> uint(tileHeight*tile.L)) - tile.N<<tileHeight
		if tile.W != 1<<tileHeight && int64(tile.W) != width {
			continue // narrower than today's
		}
		held, err := tlog.ReadTileData(tile, tree)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(held)
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight), "tile/", 1)
		found[path] = hex.EncodeToString(sum[:])
	}
	return found, nil
}
