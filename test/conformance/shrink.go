package main

import "sort"

// shrink drops objects, fields and list elements while the two sides still disagree. What is left is the smallest
// that single droppings reach.
func (c *Comparer) shrink(s Scenario) Scenario {
	budget := 4000 // questions
	kind := c.ask(s).kind()
	disagree := func(candidate Scenario) bool {
		if budget--; budget < 0 {
			return false
		}
		answers := c.ask(candidate)
		return answers.differ() && answers.kind() == kind
	}
	for smaller := true; smaller; {
		smaller = false
		if s.config != nil {
			candidate := s
			if candidate.config = nil; disagree(candidate) {
				s, smaller = candidate, true
			}
		}
		for i := len(s.objects) - 1; i >= 0; i-- {
			candidate := s
			candidate.objects = append(append([]object{}, s.objects[:i]...), s.objects[i+1:]...)
			if disagree(candidate) {
				s, smaller = candidate, true
			}
		}
		for i := range s.objects {
			smaller = shrinkTree(s.objects[i], func(tree object) bool {
				candidate := s
				candidate.objects = append([]object{}, s.objects...)
				candidate.objects[i] = tree
				if !disagree(candidate) {
					return false
				}
				s = candidate
				return true
			}) || smaller
		}
		if s.config != nil {
			smaller = shrinkTree(s.config, func(tree object) bool {
				candidate := s
				candidate.config = tree
				if !disagree(candidate) {
					return false
				}
				s = candidate
				return true
			}) || smaller
		}
	}
	return s
}

var kept = map[string]bool{"apiVersion": true, "kind": true, "profiles": true}

// shrinkTree tries to leave out every part of the tree, the large ones first. `accept` takes the tree without the
// part, if it is good. Whether anything went.
func shrinkTree(root object, accept func(object) bool) bool {
	shrunk := false
	current := root
	var visit func(path []any)
	at := func(tree any, path []any) any {
		for _, step := range path {
			switch node := tree.(type) {
			case object:
				tree = node[step.(string)]
			case list:
				if i := step.(int); i < len(node) {
					tree = node[i]
				} else {
					return nil
				}
			}
		}
		return tree
	}
	without := func(path []any) object {
		copied := clone(current).(object)
		var put func(tree any, path []any) any
		put = func(tree any, path []any) any {
			switch node := tree.(type) {
			case object:
				if key := path[0].(string); len(path) == 1 {
					delete(node, key)
				} else {
					node[key] = put(node[key], path[1:])
				}
				return node
			case list:
				i := path[0].(int)
				if len(path) == 1 {
					return append(append(list{}, node[:i]...), node[i+1:]...)
				}
				node[i] = put(node[i], path[1:])
				return node
			}
			return tree
		}
		return put(copied, path).(object)
	}
	visit = func(path []any) {
		var steps []any
		switch node := at(current, path).(type) {
		case object:
			for key := range node {
				steps = append(steps, key)
			}
			sort.Slice(steps, func(i, j int) bool { return steps[i].(string) < steps[j].(string) })
		case list:
			for i := len(node) - 1; i >= 0; i-- {
				steps = append(steps, i)
			}
		}
		for _, step := range steps {
			next := append(append([]any{}, path...), step)
			name := ""
			for _, s := range next {
				if key, ok := s.(string); ok {
					name += "/" + key
				}
			}
			if !kept[name[1:]] && step != "name" {
				if candidate := without(next); accept(candidate) {
					current, shrunk = candidate, true
					continue
				}
			}
			visit(next)
		}
	}
	visit(nil)
	return shrunk
}
