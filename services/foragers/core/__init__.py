"""What foragers decide without I/O: outside requests into tones, tones into outside answers.

One package for each dialect (`openai`); `bees` reads humd's list of who is connected.
"""
