"""The label of each post (complaint, question, praise or other), and counts of posts by the minute."""
