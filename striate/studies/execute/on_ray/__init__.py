"""The scheduler of a Ray cluster: one run is one Ray task.

`options` says where Ray is and what a run needs, `cluster` connects and looks at the nodes, `scheduler` hands out the runs,
`remote` is what the nodes do, `mailbox` carries their messages and `files` their run folders. Messages are JSON and files are bytes;
Ray moves them and the arrays of images, and nothing else is sent from a node.
"""
